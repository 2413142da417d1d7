"""Figures say what the tables say."""

import numpy as np
import pytest

import toolkit as tk
from toolkit.errors import InvalidArgument, NotLabelled


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
