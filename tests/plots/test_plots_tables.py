"""Figures of counts: the four outcomes, the labels, a forecast, a comparison."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from figures import curve_of, lines, overview, said

import toolkit as tk
from toolkit.errors import InvalidArgument


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


def test_differences_of_nothing_say_so(make) -> None:
    truth = make.truth("Gambling", [0, 0])
    silent = make.results({}, {})
    comparison = tk.compare(silent, silent, truth, "Gambling", 50)
    assert np.isnan(lines(tk.plots.differences(comparison))["precision"].x[0])  # nothing flagged, no precision
    uncounted = dataclasses.replace(comparison, rates=comparison.rates.assign(difference=np.nan))
    assert "nothing to show" in said(tk.plots.differences(uncounted))
