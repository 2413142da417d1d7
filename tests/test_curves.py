import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, confusion_matrix

import toolkit as tk
from toolkit import manifests
from toolkit.curves import binomial_interval
from toolkit.errors import BelowFloor, InvalidArgument

quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
# Few distinct values make ties; None is an image on which the label was not reported.
samples = st.lists(
    st.tuples(st.none() | st.sampled_from([20.0, 20.1, 50.0, 77.7, 99.44782257080078, 100.0]), st.booleans()),
    min_size=1,
    max_size=40,
)


def run(make, pairs):
    results = make.results(*({} if score is None else {"Gambling": score} for score, _ in pairs), min_confidence=20)
    return tk.threshold_curve(results, make.truth("Gambling", [present for _, present in pairs]), "Gambling")


@given(samples)
@quick
def test_counts_are_those_of_scikit_learn_at_every_threshold(make, pairs) -> None:
    curve = run(make, pairs)
    scores = np.array([-1 if score is None else score for score, _ in pairs], dtype=np.float32)
    present = np.array([value for _, value in pairs])
    assert curve.table["threshold"].tolist() == sorted({float(np.float32(s)) for s, _ in pairs if s is not None})
    for threshold in [20.0, 33.3, *curve.table["threshold"], 100.0]:
        tn, fp, fn, tp = confusion_matrix(present, scores >= np.float32(threshold), labels=[False, True]).ravel()
        point = curve.at(threshold)
        assert (point.tp, point.fp, point.fn, point.tn) == (tp, fp, fn, tn)
        assert point.flagged == (tp + fp) / len(pairs)
        assert math.isnan(point.precision) if tp + fp == 0 else point.precision == tp / (tp + fp)
        assert math.isnan(point.recall) if tp + fn == 0 else point.recall == tp / (tp + fn)


@given(samples.filter(lambda pairs: any(present for _, present in pairs)))
@quick
def test_average_precision_is_that_of_scikit_learn(make, pairs) -> None:
    scores = [-1.0 if score is None else score for score, _ in pairs]
    expected = average_precision_score([present for _, present in pairs], scores)
    assert run(make, pairs).average_precision == pytest.approx(expected)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_intervals_are_the_exact_ones_of_scipy(counts, level) -> None:
    k, n = counts
    expected = binomtest(k, n).proportion_ci(level, method="exact")
    low, high = binomial_interval(k, n, level)
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_flagged_means_at_least_and_is_compared_as_float32(make) -> None:
    curve = run(make, [(99.44782257080078, True), (50.0, False)])
    assert curve.at(99.44782257080078).tp == 1
    assert curve.at(50).fp == 1


@pytest.mark.parametrize(
    ("scores", "present", "settings", "said"),
    [
        ([90, 80], [True], {}, "one value an image"),
        ([[90]], [[True]], {}, "one value an image"),
        (["high", 80], [True, False], {}, "are numbers"),
        ([101, 80], [True, False], {}, "from 0 to 100"),
        ([-1, 80], [True, False], {}, "from 0 to 100"),
        ([90, 80], [True, None], {}, "leave out images that were not judged"),
        ([90, 80], [True, float("nan")], {}, "leave out images that were not judged"),
        ([90, 80], pd.array([True, None], dtype="boolean"), {}, "leave out images that were not judged"),
        ([90, 80], [True, False], {"weights": [1, 0]}, "a weight is not positive"),
        ([90, 80], [True, False], {"weights": [1, 2, 3]}, "one value an image"),
        ([90, 80], [True, False], {"min_confidence": 101}, "min_confidence is 101"),
    ],
)
def test_arrays_that_are_no_sample_are_refused_in_one_sentence(scores, present, settings, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        tk.curve_of_scores("Gambling", scores, present, **settings)


@pytest.mark.parametrize("level", [-1, 0, 1, 2, 3, float("nan"), "high"])
def test_a_confidence_level_that_is_no_probability_is_refused_everywhere(make, level) -> None:
    results, truth = make.results({"Gambling": 90}, {}), make.truth("Gambling", [1, 0])
    curve = tk.threshold_curve(results, truth, "Gambling")
    policy = tk.Policy({"Gambling": tk.Rule(block=80.0)})
    for ask in (
        lambda: tk.threshold_curve(results, truth, "Gambling", confidence_level=level),
        lambda: tk.compare(results, results, truth, "Gambling", 80, confidence_level=level),
        lambda: tk.choose_threshold(curve, "precision>=0.9", confidence_level=level),
        lambda: policy.forecast(results, confidence_level=level),
    ):
        with pytest.raises(InvalidArgument, match=r"confidence_level is .*; give a number between 0 and 1"):
            ask()


def test_an_image_that_failed_is_in_no_denominator(make) -> None:
    make.summary(3, manifests.LineError(3, "INVALID_IMAGE_FORMAT", "not a JPEG", "s3://bucket/2.jpg"))
    results = make.results({"Gambling": 90}, {})
    curve = tk.threshold_curve(results, make.truth("Gambling", [1, 0, 1]), "Gambling")
    assert (curve.positives, curve.negatives, curve.unmatched) == (1, 1, 1)


def test_an_image_with_no_label_is_in_every_denominator(make) -> None:
    point = run(make, [(90.0, True), (None, True), (None, False)]).at(20)
    assert (point.tp, point.fn, point.tn) == (1, 1, 1)


def test_an_image_not_judged_does_not_count(make) -> None:
    results = make.results({"Gambling": 90}, {"Gambling": 95}, {})
    curve = tk.threshold_curve(results, make.truth("Gambling", [1, None, 0]), "Gambling")
    assert (curve.positives, curve.negatives, curve.at(0).fp) == (1, 1, 0)


def test_below_the_floor_nothing_is_known(make) -> None:
    curve = run(make, [(90.0, True), (30.0, False)])
    with pytest.raises(BelowFloor, match="nothing below 20; rerun the job with MinConfidence 10 or lower"):
        curve.at(10)
    with pytest.raises(BelowFloor, match="end at 100"):
        curve.at(101)


def test_a_label_that_was_never_reported_has_a_curve_without_thresholds(make) -> None:
    curve = run(make, [(None, True), (None, False)])
    assert curve.table.empty
    assert (curve.at(20).tp, curve.at(20).fn) == (0, 1)
    assert curve.average_precision == 0.5
