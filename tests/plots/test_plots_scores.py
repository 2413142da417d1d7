"""Figures of one run's confidences: histogram, distribution from above, reliability."""

import numpy as np
import pandas as pd
import pytest
from figures import bins, lines, noisy, run, said

import toolkit as tk
from toolkit.errors import InvalidArgument, NotLabelled


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


def test_a_label_from_outside_is_no_html(make) -> None:
    results = make.results({"<img src=x onerror=alert(1)>": 90})
    title = tk.plots.distribution(results, "<img src=x onerror=alert(1)>").layout.title.text
    assert "<img" not in title


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


def test_one_image_is_not_called_images(make) -> None:
    results = make.results({"Gambling": 90}, {})
    assert "confidence of 1 image 1 more" in said(tk.plots.distribution(results, "Gambling"))
    assert "1 image with the label, 1 without" in said(
        tk.plots.tradeoff(tk.threshold_curve(results, make.truth("Gambling", [1, 0]), "Gambling"))
    )


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
