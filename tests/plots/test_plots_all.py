"""What holds of every figure: colours, names from outside, little weight, and a word where there is nothing."""

from pathlib import Path

import numpy as np
import pandas as pd
from figures import bins, curve_of, lines, million, noisy, overview, run, said, weight

import toolkit as tk


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


def test_quotes_in_a_name_are_shown_as_they_are() -> None:
    curve = curve_of([50, 60], [0, 1], label="""the "best" label's""")
    for figure in (tk.plots.tradeoff(curve), tk.plots.base_against_candidate(curve, curve, names=('"a"', "b'"))):
        assert "&quot;" not in said(figure)
        assert "&#x27;" not in said(figure)
        assert '"best"' in figure.layout.title.text
