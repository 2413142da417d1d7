"""Figures say what the tables say."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from toolkit.errors import BelowFloor, InvalidArgument, NotLabelled


def run(make):
    results = make.results(*({"Gambling": score} for score in (5, 6.5, 50, 51, 90, 100)), {}, {}, min_confidence=5)
    return results, make.truth("Gambling", [0, 0, 1, 0, 1, 1, 0])


def test_every_reported_image_is_in_one_bar_and_the_others_in_the_subtitle(make) -> None:
    results, truth = run(make)
    for figure in (tk.plots.distribution(results, "Gambling"), tk.plots.distribution(results, "Gambling", truth)):
        assert sum(np.sum(bar.y) for bar in figure.data) == 6
        assert figure.layout.title.subtitle.text == "2 more were not reported (below 5, or not at all)"
        assert all(np.min(bar.x - np.asarray(bar.width) / 2) >= 5 for bar in figure.data)
        assert all(np.max(bar.x + np.asarray(bar.width) / 2) <= 100 for bar in figure.data)


def test_bars_are_split_by_what_people_said(make) -> None:
    results, truth = run(make)
    figure = tk.plots.distribution(results, "Gambling", truth, threshold=50)
    assert {bar.name: int(np.sum(bar.y)) for bar in figure.data} == {
        "label is there": 3,
        "label is not there": 3,
        "not judged": 0,
    }


def test_a_colour_means_one_thing_in_every_figure(make) -> None:
    results, truth = run(make)
    curve, plots = tk.threshold_curve(results, truth, "Gambling"), tk.plots
    bars = plots.distribution(results, "Gambling", truth, threshold=50)
    found = {bar.name: bar.marker.color for bar in bars.data} | {
        name.partition(" (")[0]: trace.line.color
        for figure in (plots.ecdf(results, "Gambling", truth), plots.tradeoff(curve))
        for name, trace in lines(figure).items()
    }
    assert len(set(found.values())) == len(found) == 5
    assert found["label is there"] == plots.PRESENT
    assert found["label is not there"] == plots.ABSENT
    assert (found["precision"], found["recall"]) == (plots.PRECISION, plots.RECALL)
    assert [shape.line.color for shape in bars.layout.shapes if shape.type == "line"] == [plots.THRESHOLD]
    two = plots.precision_recall({"base": curve, "candidate": curve})
    assert [lines(two)[name].line.color for name in lines(two) if ": AP" in name] == [plots.BASE, plots.CANDIDATE]
    assert len({*found.values(), plots.THRESHOLD, plots.BASE, plots.CANDIDATE}) == 8
    explorer = (Path(plots.__file__).parents[1] / "widgets" / "explorer.js").read_text()
    for name in ("PRECISION", "RECALL", "PRESENT"):
        assert f'{name} = "{getattr(plots, name)}"' in explorer


def test_no_bar_has_an_outline_and_no_interval_is_dark_on_a_dark_page(make) -> None:
    results, truth = run(make)
    bars = [*tk.plots.distribution(results, "Gambling", truth).data, tk.plots.reliability(bins(3), "Gambling").data[2]]
    assert all(bar.marker.line.width == 0 for bar in bars)
    table = tk.Policy({"Gambling": tk.Rule(block=90)}).forecast(results)
    assert tk.plots.forecast(table).data[0].error_x.color == tk.plots.THRESHOLD


@pytest.mark.parametrize("settings", [{"bin_width": 0}, {"bin_width": -1}, {"threshold": 101}])
def test_a_histogram_that_cannot_be_drawn_is_refused_in_one_sentence(make, settings) -> None:
    results, _ = run(make)
    with pytest.raises(InvalidArgument, match="give a number from"):
        tk.plots.distribution(results, "Gambling", **settings)
    with pytest.raises(NotLabelled):
        tk.plots.distribution(results, "Violence", make.truth("Gambling", [1, 0]))


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


def test_a_label_from_outside_is_no_html(make) -> None:
    results = make.results({"<img src=x onerror=alert(1)>": 90})
    title = tk.plots.distribution(results, "<img src=x onerror=alert(1)>").layout.title.text
    assert "<img" not in title


def test_a_report_shows_the_policy_with_what_it_does_and_a_comparison(make) -> None:
    results, truth = run(make)
    policy = tk.Policy({"Gambling": tk.Rule(review=50, block=90), "Alcohol": tk.Rule(block=60)})
    found = tk.compare(results, results, truth, "Gambling", (50, 90))
    path = make.folder / "r.html"
    tk.write_report(path, {"run": results}, truth, policy=policy, comparisons={("<old>", "<new>"): found})
    page = path.read_text()
    text = " ".join(re.sub("<[^>]*>", " ", re.sub("<(script|style).*?</\\1>", "", page, flags=re.DOTALL)).split())
    assert "Gambling 50 90 Alcohol – 60" in text
    assert "Next MinConfidence: 50" in text
    allow, review, block = policy.forecast(results)["per_thousand"]
    assert re.search(rf"run {allow:.1f} \[.*?\] {review:.1f} \[.*?\] {block:.1f} \[", text)
    assert f"review from 50 : precision {tk.threshold_curve(results, truth, 'Gambling').at(50).precision:.3f} [" in text
    assert "Gambling: &lt;new&gt; against &lt;old&gt;" in text
    assert f"{found.fixed} are decided right only by the candidate, {found.broken} only by the base" in text
    rates = found.rates.set_index("measure")
    assert f"precision {rates.loc['precision', 'base']:.3f} {rates.loc['precision', 'candidate']:.3f} +" in text
    assert f"flagged wrongly {rates.loc['fp', 'base']:.0f} {rates.loc['fp', 'candidate']:.0f} -" in text


def test_a_report_has_no_number_where_nothing_was_flagged_and_exact_thresholds_elsewhere(make) -> None:
    results, truth = make.results({"Gambling": 50.30865}, {"Violence": 70}), make.truth("Gambling", [1, 0])
    policy = tk.Policy({"Gambling": tk.Rule(block=99)})
    tk.write_report(make.folder / "r.html", {"run": results}, truth, labels=["Gambling"], policy=policy)
    page = (make.folder / "r.html").read_text()
    assert re.search(r"block from 99</strong>:\s+precision –, recall 0\.000 \[", page)
    assert "<strong>MinConfidence 50.30865</strong>" in page


def test_a_report_says_where_a_run_cannot_speak_about_the_policy(make) -> None:
    results = make.results({"Gambling": 90}, {}, min_confidence=50)
    policy = tk.Policy({"Gambling": tk.Rule(block=30)})
    tk.write_report(make.folder / "r.html", {"run": results}, make.truth("Gambling", [1, 0]), policy=policy)
    page = (make.folder / "r.html").read_text()
    assert page.count("this run reported nothing below 50") == 2
    assert "Next MinConfidence: 30" in page


def test_a_report_says_that_failures_are_unknown_where_no_summary_is(make) -> None:
    tk.write_report(make.folder / "r.html", {"run": make.results({"Gambling": 90})})
    unknown = "failures unknown: no manifest-summary.json beside the results"
    assert unknown in (make.folder / "r.html").read_text()
    make.summary(1)
    tk.write_report(make.folder / "r.html", {"run": make.results({"Gambling": 90})})
    assert unknown not in (make.folder / "r.html").read_text()


def test_a_report_escapes_what_comes_from_outside(make) -> None:
    results = make.results({"<script>alert(1)</script>": 90})
    tk.write_report(make.folder / "r.html", {"<b>run</b>": results}, title="<i>title</i>")
    page = (make.folder / "r.html").read_text()
    for outside in ("<script>alert(1)", "<b>run</b>", "<i>title</i>"):
        assert outside not in page


def million() -> tk.Results:
    """A run of a million images that all have one label, each at its own confidence, drawn without a file."""
    count = 1_000_000
    images = pd.DataFrame({"image": np.arange(count), "source_ref": pd.Series(range(count)).map("s3://b/{}".format)})
    images = images.assign(model_version="7.0")
    labels = pd.DataFrame({"image": images["image"], "name": pd.Categorical(["Gambling"] * count), "parent": ""})
    labels = labels.assign(level=1, confidence=np.linspace(20, 100, count, dtype=np.float32))
    return tk.Results(images, labels, pd.DataFrame(), 20.0, "caller", True)


def weight(figure) -> int:
    """Bytes of a figure as it goes to the browser."""
    return len(figure.to_json())


def said(figure) -> str:
    """All that is written in and above a figure."""
    title = figure.layout.title
    return " ".join([title.text, title.subtitle.text, *(str(note.text) for note in figure.layout.annotations)])


def lines(figure) -> dict:
    return {trace.name: trace for trace in figure.data if trace.name}


def curve_of(scores, present, *, floor: float = 0.0, label: str = "Gambling") -> tk.ThresholdCurve:
    return tk.curve_of_scores(label, scores, present, min_confidence=floor)


def noisy(count: int, seed: int = 0) -> tk.ThresholdCurve:
    """A curve with many thresholds, half of the images below a floor of 50."""
    draw = np.random.default_rng(seed)
    scores = draw.uniform(0, 100, count)
    present = draw.uniform(0, 100, count) < scores
    return curve_of(np.where(scores < 50, np.nan, scores), present, floor=50)


def step_area(x, y) -> float:
    """Area under a line that goes up or down first, then to the right."""
    return float(np.sum(np.diff(x) * np.asarray(y)[1:]))


def bins(*images: int) -> pd.DataFrame:
    present = np.linspace(0.1, 0.9, len(images))
    low = np.arange(len(images)) * 100 / len(images)
    return pd.DataFrame({"low": low, "high": low + 100 / len(images), "images": images}).assign(
        mean_confidence=low + 5, present=present, present_low=present - 0.1, present_high=present + 0.05
    )


def overview(*rows: tuple[str, str, int]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["label", "parent", "images"])
    return table.assign(level=1, share=table["images"] / 100, median_confidence=80.0)


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


def test_the_distribution_from_above_is_the_share_of_all_images(make) -> None:
    results, truth = run(make)
    line = tk.plots.ecdf(results, "Gambling").data[0]
    for x, y in zip(line.x, line.y, strict=True):
        assert y == pytest.approx(np.mean([score >= x for score in (5, 6.5, 50, 51, 90, 100, 0, 0)]))
    assert line.x[0] == 5
    groups = lines(tk.plots.ecdf(results, "Gambling", truth))
    assert list(groups) == ["label is there (3)", "label is not there (4)", "not judged (1)"]
    assert groups["label is there (3)"].y[0] == 1
    assert groups["label is not there (4)"].y[0] == pytest.approx(3 / 4)


def test_the_distribution_from_above_ends_at_nothing_and_begins_at_the_floor(make) -> None:
    line = tk.plots.ecdf(make.results({"Gambling": 60}, {}, min_confidence=30), "Gambling").data[0]
    np.testing.assert_array_equal(line.x, [30, 60, 100])
    np.testing.assert_array_equal(line.y, [0.5, 0.5, 0])


def test_the_distribution_with_truth_is_recall_and_false_positive_rate() -> None:
    curve = noisy(300)
    draw = np.random.default_rng(0)
    scores = draw.uniform(0, 100, 300)
    present = draw.uniform(0, 100, 300) < scores
    images = pd.DataFrame({"image": range(300), "source_ref": [f"s3://b/{number}" for number in range(300)]})
    images = images.assign(model_version="7.0")
    labels = pd.DataFrame({"image": range(300), "name": "Gambling", "confidence": scores.astype(np.float32)})
    results = tk.Results(images, labels[scores >= 50], pd.DataFrame(), 50.0, "caller", True)
    truth = tk.make_truth(pd.DataFrame({"source_ref": images["source_ref"], "label": "Gambling", "present": present}))
    there, not_there = tk.plots.ecdf(results, "Gambling", truth).data
    for trace, rate in ((there, "recall"), (not_there, "fpr")):
        for x, y in list(zip(trace.x, trace.y, strict=True))[:-1]:
            assert getattr(curve.at(float(np.float32(x))), rate) == pytest.approx(y)


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


def test_reliability_draws_the_table_and_leaves_out_empty_bins() -> None:
    table = bins(0, 4, 500, 90)
    _, shares, counts = tk.plots.reliability(table, "Gambling").data
    np.testing.assert_array_equal(shares.y, table["present"][1:])
    np.testing.assert_array_equal(shares.x, table["mean_confidence"][1:])
    np.testing.assert_allclose(shares.error_y.array, 0.05)
    np.testing.assert_allclose(shares.error_y.arrayminus, 0.1)
    np.testing.assert_array_equal(counts.y, [4, 500, 90])
    assert shares.marker.color[0] == "rgba(0,0,0,0)"  # hollow on a dark page, too
    assert shares.marker.size[0] < shares.marker.size[2] < shares.marker.size[1]
    assert "hollow: fewer than 10 images" in said(tk.plots.reliability(table, "Gambling")).replace("<br>", " ")
    assert "hollow" not in said(tk.plots.reliability(bins(40, 50), "Gambling"))


def test_a_label_that_no_judged_image_has_still_shows_its_distribution(make) -> None:
    results = make.results({"Gambling": 90}, {"Gambling": 80}, {})
    truth = make.truth("Gambling", [None, None, 0])
    tk.write_report(make.folder / "r.html", {"run": results}, truth, labels=["Gambling"])
    page = (make.folder / "r.html").read_text()
    assert "Reported on no judged image" in page
    assert "Gambling: confidence of 2 images" in page


def test_one_image_is_not_called_images(make) -> None:
    results = make.results({"Gambling": 90}, {})
    assert "confidence of 1 image 1 more" in said(tk.plots.distribution(results, "Gambling"))
    assert "1 image with the label, 1 without" in said(
        tk.plots.tradeoff(tk.threshold_curve(results, make.truth("Gambling", [1, 0]), "Gambling"))
    )


def test_the_four_outcomes_are_the_point() -> None:
    point = curve_of([90, 80, 70, 60, 50], [1, 0, 1, 0, 0]).at(65)
    cells = np.ravel(tk.plots.confusion(point, "Gambling").data[0].text)
    assert [cell.split("<br>")[0] for cell in cells] == ["<b>2</b>", "<b>0</b>", "<b>1</b>", "<b>2</b>"]
    assert [cell.split("<br>")[1] for cell in cells] == [
        "100.0% of the row", "0.0% of the row", "33.3% of the row", "66.7% of the row",
    ]  # fmt: skip
    assert [cell.split("<br>")[2] for cell in cells] == [
        "✓ caught", "✗ missed", "✗ false alarm", "✓ let through rightly",
    ]  # fmt: skip


def test_right_and_wrong_outcomes_have_colours_of_their_own_however_few_images_they_are() -> None:
    point = curve_of([90] * 999 + [10] + [90] + [10] * 999, [1] * 1000 + [0] * 1000).at(50)
    cells = tk.plots.confusion(point, "Gambling").data[0]
    stops = [at for at, _ in cells.colorscale]
    share = (np.ravel(cells.z) - cells.zmin) / (cells.zmax - cells.zmin)
    red, blue = (
        np.interp(share, stops, [int(colour[place : place + 2], 16) for _, colour in cells.colorscale])
        for place in (1, 5)
    )
    caught, missed, alarm, left = blue - red
    assert min(caught, left) > 50
    assert max(missed, alarm) < -50


def test_the_four_outcomes_say_when_their_shares_are_weighted() -> None:
    curve = tk.curve_of_scores("Gambling", [90, 40, 80, 30], [1, 1, 0, 0], weights=[1, 9, 1, 1])
    figure = tk.plots.confusion(curve.at(50), "Gambling")
    assert "10.0% of the row" in figure.data[0].text[0][0]
    assert "percentages are weighted" in said(figure)


@pytest.mark.parametrize("kind", ["treemap", "sunburst"])
def test_a_field_is_never_smaller_than_what_is_in_it(kind) -> None:
    table = overview(("Explicit", "", 10), ("Sex Toys", "Explicit", 8), ("Explicit Nudity", "Explicit", 7))
    tree = tk.plots.label_tree(table, kind=kind).data[0]
    own = dict(zip(tree.ids, tree.values, strict=True))
    assert tree.branchvalues == "remainder"
    assert own == {"/Explicit": 0, "/Sex Toys": 8, "/Explicit Nudity": 7}
    assert dict(zip(tree.labels, tree.text, strict=True))["Explicit"] == "10 · 10.0%"
    roomy = tk.plots.label_tree(table.assign(images=[20, 8, 7])).data[0]
    assert dict(zip(roomy.ids, roomy.values, strict=True))["/Explicit"] == 20 - 8 - 7


def test_a_parent_that_was_not_reported_has_a_field_in_its_place() -> None:
    tree = tk.plots.label_tree(overview(("Pills", "Products", 3), ("New thing", "Unheard of", 2))).data[0]
    parents = dict(zip(tree.ids, tree.parents, strict=True))
    assert parents["/Products"] == "/Drugs & Tobacco"
    assert parents["/Drugs & Tobacco"] == parents["/Unheard of"] == ""
    assert dict(zip(tree.ids, tree.text, strict=True))["/Products"] == "not reported"


def test_a_tree_that_runs_in_circles_is_drawn_all_the_same() -> None:
    tree = tk.plots.label_tree(overview(("A", "B", 3), ("B", "A", 2), ("C", "C", 1), ("", "A", 1))).data[0]
    parents = dict(zip(tree.ids, tree.parents, strict=True))
    assert parents == {"/A": "", "/B": "/A", "/C": ""}
    with pytest.raises(InvalidArgument, match="treemap or sunburst"):
        tk.plots.label_tree(overview(), kind="icicle")


def test_labels_that_come_together_are_shares_of_the_row(make) -> None:
    table = pd.DataFrame([[4, 1], [1, 2]], index=["A", "B"], columns=["A", "B"])
    heat = tk.plots.cooccurrence(table).data[0]
    np.testing.assert_array_equal(heat.z, [[1, 0.25], [0.5, 1]])
    assert [list(row) for row in heat.text] == [["4", "1"], ["1", "2"]]
    with pytest.raises(InvalidArgument, match="label by label"):
        tk.plots.cooccurrence(table.rename(index={"A": "C"}))


def test_only_the_most_frequent_labels_are_shown_together() -> None:
    names = [f"label {number}" for number in range(30)]
    figure = tk.plots.cooccurrence(pd.DataFrame(np.diag(np.arange(30)), index=names, columns=names))
    assert figure.data[0].z.shape == (25, 25)
    assert figure.layout.yaxis.ticktext[0] == "label 29 <b>1</b>"
    assert "the 5 least frequent labels are left out" in said(figure).replace("<br>", " ")


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


def test_a_forecast_draws_what_the_policy_says(make) -> None:
    results = make.results({"Gambling": 95}, {"Gambling": 70}, {}, {})
    table = tk.Policy({"Gambling": tk.Rule(review=60, block=90)}).forecast(results)
    figure = tk.plots.forecast(table)
    bar = figure.data[0]
    np.testing.assert_array_equal(bar.x, [500, 250, 250])
    np.testing.assert_allclose(bar.x + bar.error_x.array, table["per_thousand_high"])
    np.testing.assert_allclose(bar.x - bar.error_x.arrayminus, table["per_thousand_low"])
    assert figure.layout.yaxis.ticktext[0].startswith("<b>allow</b><br>500 (")


def test_differences_are_drawn_with_their_intervals_and_say_what_is_real(make) -> None:
    truth = make.truth("Gambling", [1] * 40 + [0] * 40)
    base = make.results(*[{"Gambling": 40}] * 30, *[{"Gambling": 90}] * 10, *[{}] * 40)
    better = make.results(*[{"Gambling": 90}] * 39, *[{}] * 41)
    comparison = tk.compare(base, better, truth, "Gambling", 50)
    rates, figure = comparison.rates.set_index("measure"), tk.plots.differences(comparison)
    dots = lines(figure)
    for measure, scale in {"precision": 100, "recall": 100, "flagged": 100, "fp": 1, "fn": 1}.items():
        dot, row = dots[measure], rates.loc[measure]
        assert dot.x[0] == pytest.approx(scale * row["difference"])
        assert dot.x[0] + dot.error_x.array[0] == pytest.approx(scale * row["high"])
        assert dot.x[0] - dot.error_x.arrayminus[0] == pytest.approx(scale * row["low"])
    assert dots["recall"].marker.color == dots["fn"].marker.color == tk.plots.CANDIDATE
    assert dots["fp"].marker.color == dots["flagged"].marker.color == tk.plots.GREY  # read on white and on black
    assert [shape.line.color for shape in figure.layout.shapes] == [tk.plots.GREY] * 2
    worse = lines(tk.plots.differences(tk.compare(better, base, truth, "Gambling", 50)))
    assert worse["recall"].marker.color == worse["fn"].marker.color == tk.plots.BASE


def test_where_there_is_nothing_to_show_a_figure_says_so(make) -> None:
    nothing, unreported = make.results(), make.results({}, {}, min_confidence=30)
    empty, absent = curve_of([np.nan, np.nan], [1, 0]), curve_of([50, 60], [0, 0])
    policy = tk.Policy({"Gambling": tk.Rule(block=90)})
    for figure in (
        tk.plots.distribution(nothing, "Gambling"),
        tk.plots.distribution(unreported, "Gambling"),
        tk.plots.ecdf(nothing, "Gambling"),
        tk.plots.ecdf(unreported, "Gambling"),
        tk.plots.tradeoff(empty),
        tk.plots.precision_recall(empty),
        tk.plots.precision_recall(absent),
        tk.plots.precision_recall({}),
        tk.plots.roc({"a": empty, "b": absent}),
        tk.plots.roc(curve_of([], [])),
        tk.plots.reliability(bins(0, 0), "Gambling"),
        tk.plots.confusion(curve_of([], []).at(50), "Gambling"),
        tk.plots.label_tree(nothing.overview()),
        tk.plots.cooccurrence(pd.DataFrame()),
        tk.plots.base_against_candidate(noisy(50), empty),
        tk.plots.base_against_candidate(empty, empty, thresholds=(50, 50)),
        tk.plots.forecast(policy.forecast(nothing)),
    ):
        assert "nothing to show" in said(figure)


def test_differences_of_nothing_say_so(make) -> None:
    truth = make.truth("Gambling", [0, 0])
    silent = make.results({}, {})
    comparison = tk.compare(silent, silent, truth, "Gambling", 50)
    assert np.isnan(lines(tk.plots.differences(comparison))["precision"].x[0])  # nothing flagged, no precision
    uncounted = dataclasses.replace(comparison, rates=comparison.rates.assign(difference=np.nan))
    assert "nothing to show" in said(tk.plots.differences(uncounted))


def test_no_figure_takes_a_name_from_outside_for_html(make) -> None:
    bad = "<img src=x onerror=alert(1)>"
    results, truth = make.results({bad: 90}, {bad: 40}), make.truth(bad, [1, 0])
    curve = tk.threshold_curve(results, truth, bad)
    table = pd.DataFrame([[2]], index=[bad], columns=[bad])
    for figure in (
        tk.plots.distribution(results, bad, truth),
        tk.plots.ecdf(results, bad, truth),
        tk.plots.tradeoff(curve),
        tk.plots.precision_recall({bad: curve, "b": curve}, threshold=50),
        tk.plots.roc({bad: curve, "b": curve}, threshold=50),
        tk.plots.reliability(bins(3), bad),
        tk.plots.confusion(curve.at(50), bad),
        tk.plots.cooccurrence(table),
        tk.plots.base_against_candidate(curve, curve, names=(bad, bad)),
        tk.plots.forecast(pd.DataFrame({"decision": [bad], "images": 1, "per_thousand": 9.0, "per_thousand_low": 1.0,
                                        "per_thousand_high": 10.0})),
        tk.plots.differences(tk.compare(results, results, truth, bad, 50)),
    ):  # fmt: skip
        figure.update_traces(legendgroup=None)  # an identifier, shown nowhere
        assert "<img" not in figure.to_json().replace("\\u003c", "<")
    for kind in ("treemap", "sunburst"):
        tree = tk.plots.label_tree(overview((bad, "", 1), ("child", bad, 1)), kind=kind).data[0]
        assert not any("<img" in text for text in (*tree.labels, *tree.text, *tree.customdata))


def test_a_million_images_make_a_small_figure() -> None:
    results, curve = million(), noisy(100_000)
    assert len(curve.table) > 40_000
    for figure in (
        tk.plots.distribution(results, "Gambling", threshold=50),
        tk.plots.ecdf(results, "Gambling"),
        tk.plots.tradeoff(curve),
        tk.plots.precision_recall({str(number): curve for number in range(3)}, threshold=50),
        tk.plots.roc({str(number): curve for number in range(3)}, threshold=50),
        tk.plots.base_against_candidate(curve, curve),
    ):
        assert weight(figure) < 200_000


def test_a_long_name_is_wrapped_and_makes_room_for_itself(make) -> None:
    long = "Non-Explicit Nudity of Intimate parts and Kissing"
    short, tall = (tk.plots.tradeoff(curve_of([50, 60], [0, 1], label=label)) for label in ("Gambling", long))
    assert "<br>" in tall.layout.title.text
    assert tall.layout.margin.t > short.layout.margin.t
    assert tall.layout.height > short.layout.height


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


def test_quotes_in_a_name_are_shown_as_they_are() -> None:
    curve = curve_of([50, 60], [0, 1], label="""the "best" label's""")
    for figure in (tk.plots.tradeoff(curve), tk.plots.base_against_candidate(curve, curve, names=('"a"', "b'"))):
        assert "&quot;" not in said(figure)
        assert "&#x27;" not in said(figure)
        assert '"best"' in figure.layout.title.text


@pytest.mark.parametrize("tenths", range(1, 1000, 27))
def test_images_at_a_floor_that_is_no_float32_are_drawn(make, tenths: int) -> None:
    floor = tenths / 10
    results = make.results(*[{"Gambling": floor}] * 40, *[{"Gambling": 100}] * 10, {}, min_confidence=floor)
    scores = results.scores("Gambling")
    for width in (0.1, 2, 100):
        figure = tk.plots.distribution(results, "Gambling", bin_width=width)
        assert sum(np.sum(bar.y) for bar in figure.data) == 50
    line = tk.plots.ecdf(results, "Gambling").data[0]
    assert (line.x.tolist(), line.y.tolist()) == ([float(scores[0]), 100], [50 / 51, 10 / 51])
    curve = tk.curve_of_scores("Gambling", scores, np.arange(51) < 40, min_confidence=floor)
    for drawn in tk.plots.tradeoff(curve).data:
        assert len(drawn.x) == 2
    bars = tk.widgets.explorer_data(curve)["bars"]
    assert (bars["present"][0], bars["absent"][-1], sum(bars["present"])) == (40, 10, 40)
