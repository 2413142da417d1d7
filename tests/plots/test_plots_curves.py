"""Figures of a threshold curve, of one model or of two."""

import numpy as np
import pytest
from figures import curve_of, lines, noisy, run, said, step_area

import toolkit as tk
from toolkit.errors import BelowFloor, InvalidArgument


def test_the_lines_are_the_curve(make) -> None:
    curve = tk.threshold_curve(*run(make), "Gambling")
    figure = tk.plots.tradeoff(curve, tk.choose_threshold(curve, "f1"))
    lines = {trace.name: trace for trace in figure.data if trace.name}
    np.testing.assert_array_equal(lines["precision"].y, curve.table["precision"])
    np.testing.assert_array_equal(lines["recall"].x, curve.table["threshold"])


def test_the_lines_begin_at_the_floor(make) -> None:
    results = make.results({"Gambling": 40}, {"Gambling": 90}, min_confidence=5)
    curve = tk.threshold_curve(results, make.truth("Gambling", [0, 1]), "Gambling")
    for trace in tk.plots.tradeoff(curve).data:
        assert (trace.x[0], trace.y[0]) == (5, trace.y[1])


def test_a_million_points_weigh_no_more_than_a_thousand(make) -> None:
    scores = np.linspace(5, 100, 5000)
    results = make.results(*({"Gambling": score} for score in scores), min_confidence=5)
    curve = tk.threshold_curve(results, make.truth("Gambling", [score > 60 for score in scores]), "Gambling")
    assert len(curve.table) == 5000
    assert all(len(trace.x) <= 1000 for trace in tk.plots.tradeoff(curve).data)
    assert all(len(bar.x) <= 50 for bar in tk.plots.distribution(results, "Gambling").data)


@pytest.mark.parametrize("threshold", [-1, 101, float("nan")])
def test_a_threshold_that_is_no_confidence_is_refused(make, threshold) -> None:
    results, truth = run(make)
    curve = tk.threshold_curve(results, truth, "Gambling")
    for draw in (
        lambda: tk.plots.ecdf(results, "Gambling", threshold=threshold),
        lambda: tk.plots.tradeoff(curve, threshold=threshold),
        lambda: tk.plots.precision_recall(curve, threshold=threshold),
        lambda: tk.plots.roc({"a": curve}, threshold=threshold),
        lambda: tk.plots.base_against_candidate(curve, curve, thresholds=(50, threshold)),
    ):
        with pytest.raises(InvalidArgument, match="give a number from 0 to 100"):
            draw()


def test_a_point_below_the_floor_is_refused() -> None:
    with pytest.raises(BelowFloor, match="rerun the job"):
        tk.plots.precision_recall(noisy(100), threshold=40)
    with pytest.raises(BelowFloor, match="rerun the job"):
        tk.plots.roc(noisy(100), threshold=40)


def test_the_area_under_the_steps_is_the_average_precision() -> None:
    curve = noisy(400)
    solid, dotted = tk.plots.precision_recall(curve).data[:2]
    area = step_area(solid.x, solid.y) + step_area(dotted.x, dotted.y)
    assert area == pytest.approx(curve.average_precision)
    assert solid.name == f"AP {curve.average_precision:.3f}"
    assert solid.line.shape == "vh"


def test_the_steps_keep_their_area_when_they_are_thinned() -> None:
    curve = noisy(50_000)
    solid, dotted = tk.plots.precision_recall(curve).data[:2]
    assert len(solid.x) <= 3001
    area = step_area(solid.x, solid.y) + step_area(dotted.x, dotted.y)
    assert area == pytest.approx(curve.average_precision, abs=2e-3)


def test_the_prevalence_is_one_line_where_all_curves_have_the_same() -> None:
    rare, common = curve_of([90, 80, 70, 60], [1, 0, 0, 0]), curve_of([90, 80, 70, 60], [1, 0, 1, 1])
    same = tk.plots.precision_recall({"a": rare, "b": rare})
    assert [trace.y[0] for trace in same.data if "prevalence" in (trace.name or "")] == [0.25]
    both = tk.plots.precision_recall({"a": rare, "b": common})
    assert [trace.y[0] for trace in both.data if "prevalence" in (trace.name or "")] == [0.25, 0.75]


@pytest.mark.parametrize(("draw", "x", "y"), [("precision_recall", "recall", "precision"), ("roc", "fpr", "recall")])
def test_a_marked_point_stands_where_the_curve_says_with_its_intervals(draw, x, y) -> None:
    curve = noisy(200)
    figure = getattr(tk.plots, draw)({"one": curve, "two": noisy(90)}, threshold=80)
    point, marker = curve.at(80), next(trace for trace in figure.data if trace.name == "at 80")
    assert (marker.x[0], marker.y[0]) == (getattr(point, x), getattr(point, y))
    for bar, rate in ((marker.error_x, x), (marker.error_y, y)):
        assert getattr(point, rate) + bar.array[0] == pytest.approx(getattr(point, f"{rate}_high"))
        assert getattr(point, rate) - bar.arrayminus[0] == pytest.approx(getattr(point, f"{rate}_low"))


def test_the_roc_goes_on_dotted_below_the_floor_and_has_the_area_that_the_legend_says() -> None:
    curve = noisy(400)
    solid, dotted = tk.plots.roc(curve).data[:2]
    assert (solid.x[0], solid.y[0]) == (0, 0)
    assert (dotted.x[-1], dotted.y[-1], dotted.line.dash) == (1, 1, "dot")
    assert (dotted.x[0], dotted.y[0]) == (solid.x[-1], solid.y[-1])
    area = np.trapezoid(solid.y, solid.x) + np.trapezoid(dotted.y, dotted.x)
    assert solid.name == f"AUC {area:.3f}"


def test_several_curves_bear_their_names_and_an_empty_one_is_named_as_left_out() -> None:
    empty = curve_of([np.nan, np.nan], [1, 0])
    for figure in (
        tk.plots.precision_recall({"<b>": noisy(50), "empty": empty}),
        tk.plots.roc({"<b>": noisy(50), "empty": empty}),
    ):
        assert any(name.startswith("&lt;b&gt;: A") for name in lines(figure))
        assert "nothing to show for empty" in said(figure).replace("<br>", " ")


def test_two_models_stand_side_by_side_each_with_its_floor() -> None:
    base, candidate = noisy(200), curve_of([40, 60, 95], [0, 1, 1], floor=30)
    figure = tk.plots.base_against_candidate(base, candidate, thresholds=(70, 90), names=("<i>old", "new"))
    drawn = {(trace.name, trace.xaxis): trace for trace in figure.data if trace.name}
    np.testing.assert_array_equal(drawn["recall", "x"].y, base.table["recall"][[0, *base.table.index]])
    np.testing.assert_array_equal(drawn["precision", "x2"].y[1:], candidate.table["precision"])
    greys = [(shape.xref, shape.x1) for shape in figure.layout.shapes if shape.type == "rect"]
    marks = [(shape.xref, shape.x0) for shape in figure.layout.shapes if shape.type == "line"]
    assert (greys, marks) == ([("x", 50), ("x2", 30)], [("x", 70), ("x2", 90)])
    assert figure.layout.yaxis2.matches == "y"
    assert "<i>" not in said(figure)
    with pytest.raises(InvalidArgument, match="one label"):
        tk.plots.base_against_candidate(base, curve_of([50], [1], label="Violence"))


def test_two_models_have_a_legend_also_where_one_of_them_has_no_line() -> None:
    empty = curve_of([np.nan, np.nan], [1, 0])
    for base, candidate, panel in ((noisy(50), empty, "x"), (empty, noisy(50), "x2"), (noisy(50), noisy(50), "x")):
        figure = tk.plots.base_against_candidate(base, candidate)
        explained = [(trace.name, trace.xaxis) for trace in figure.data if trace.showlegend]
        assert explained == [("precision", panel), ("recall", panel)]


def test_no_threshold_is_marked_where_there_is_nothing_to_show(make) -> None:
    empty = curve_of([np.nan, np.nan], [1, 0])
    figure = tk.plots.base_against_candidate(noisy(50), empty, thresholds=(60, 70))
    assert [shape.x0 for shape in figure.layout.shapes if shape.type == "line"] == [60]
    unreported = tk.plots.distribution(make.results({}, min_confidence=30), "Gambling", threshold=50)
    for figure in (tk.plots.tradeoff(empty, threshold=60), unreported):
        assert not [shape for shape in figure.layout.shapes if shape.type == "line"]


def test_the_number_of_a_mark_at_the_edge_stands_before_it() -> None:
    figure = tk.plots.base_against_candidate(noisy(50), noisy(50), thresholds=(60, 98.04536))
    places = {note.text: note.xanchor for note in figure.layout.annotations}
    assert (places["60"], places["98.04536"]) == ("center", "right")
