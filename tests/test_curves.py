import math
import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import ref
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

import toolkit as tk
from toolkit import manifests
from toolkit.curves import binomial_interval
from toolkit.errors import BelowFloor, InvalidArgument, NotLabelled

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


weighed = st.lists(
    st.tuples(
        st.none() | st.sampled_from([50.0, 50.1, 77.7, 77.70000457763672, 99.9]) | st.floats(50, 100, width=32),
        st.booleans(),
        st.sampled_from([0.5, 1.0, 1.0, 7.25]),
    ),
    min_size=2,
    max_size=60,
).filter(lambda images: len({present for _, present, _ in images}) == 2)


@given(weighed, st.booleans())
@quick
def test_curves_and_areas_are_those_of_scikit_learn(images, with_weights: bool) -> None:
    scores = np.array([np.nan if score is None else score for score, _, _ in images], dtype=np.float32)
    present = np.array([there for _, there, _ in images])
    weights = np.array([weight for *_, weight in images]) if with_weights else None
    curve = tk.curve_of_scores("Gambling", scores, present, weights=weights, min_confidence=50)
    ranked = np.where(np.isnan(scores), np.float32(-1), scores)  # what was not reported is below all else, tied
    precision, recall, thresholds = precision_recall_curve(present, ranked, sample_weight=weights)
    above = thresholds >= 50  # scikit-learn's curve goes on below the floor, where we know nothing
    np.testing.assert_array_equal(curve.table["threshold"], thresholds[above])
    np.testing.assert_allclose(curve.table["precision"], precision[:-1][above])
    np.testing.assert_allclose(curve.table["recall"], recall[:-1][above])
    fpr, tpr, at = roc_curve(present, ranked, sample_weight=weights, drop_intermediate=False)
    above = (at >= 50) & np.isfinite(at)
    np.testing.assert_allclose(curve.table["fpr"][::-1], fpr[above], atol=1e-12)
    np.testing.assert_allclose(curve.table["recall"][::-1], tpr[above], atol=1e-12)
    assert curve.roc_auc == pytest.approx(roc_auc_score(present, ranked, sample_weight=weights))
    assert curve.average_precision == pytest.approx(average_precision_score(present, ranked, sample_weight=weights))


@pytest.mark.parametrize("there", [0, 1])
def test_without_positives_or_without_negatives_there_is_no_area(there: int) -> None:
    curve = tk.curve_of_scores("Gambling", [90, 80, float("nan")], [there] * 3)
    assert math.isnan(curve.roc_auc)
    assert math.isnan(curve.average_precision) == (there == 0)
    assert tk.ranking_intervals(curve, replicates=10).loc["roc_auc"].isna().all()
    assert math.isnan(curve.at(85).fpr if there else curve.at(85).recall)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_intervals_are_those_of_scipy(counts, level) -> None:
    k, n = counts
    for interval, method in (("clopper-pearson", "exact"), ("wilson", "wilson")):
        expected = binomtest(k, n).proportion_ci(level, method=method)
        low, high = binomial_interval(k, n, level, interval)
        assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_interval_of_a_curve_is_the_one_that_was_asked_for(make) -> None:
    results, truth = make.results({"Gambling": 90}, {"Gambling": 80}, {}), make.truth("Gambling", [1, 0, 1])
    curve = tk.threshold_curve(results, truth, "Gambling", interval="wilson", confidence_level=0.9)
    expected = binomtest(1, 2).proportion_ci(0.9, method="wilson")
    assert (curve.at(80).precision_low, curve.at(80).precision_high) == pytest.approx((expected.low, expected.high))
    assert curve.table["precision_low"][0] == curve.at(80).precision_low
    with pytest.raises(InvalidArgument, match="interval 'wald': choose one of clopper-pearson, wilson"):
        tk.threshold_curve(results, truth, "Gambling", interval="wald")


def test_areas_have_the_interval_of_samples_drawn_again() -> None:
    random = np.random.default_rng(0)
    present = random.random(300) < 0.3
    scores = np.clip(random.normal(60 + 15 * present, 15), 0, 100)
    scores[scores < 40] = np.nan
    found = tk.ranking_intervals(tk.curve_of_scores("Gambling", scores, present, min_confidence=40), replicates=800)
    ranked = np.where(np.isnan(scores), -1, scores).astype(np.float32)
    measures = {"average_precision": average_precision_score, "roc_auc": roc_auc_score}
    for name, measure in measures.items():
        rows = (random.integers(0, 300, 300) for _ in range(800))
        low, high = np.quantile([measure(present[again], ranked[again]) for again in rows], [0.025, 0.975])
        assert found.loc[name].tolist() == pytest.approx([measure(present, ranked), low, high], abs=0.015)


def test_areas_of_weighted_samples_have_no_bootstrap(make) -> None:
    curve = tk.curve_of_scores("Gambling", [90, 80], [1, 0], weights=[1, 2])
    with pytest.raises(InvalidArgument, match="label images picked uniformly"):
        tk.ranking_intervals(curve)
    with pytest.raises(InvalidArgument, match="replicates is 0"):
        tk.ranking_intervals(tk.curve_of_scores("Gambling", [90, 80], [1, 0]), replicates=0)


@given(weighed, st.integers(1, 12), st.booleans())
@quick
def test_calibration_counts_what_lies_in_each_bin(images, bins: int, with_weights: bool) -> None:
    scores = np.array([np.nan if score is None else score for score, _, _ in images], dtype=np.float32)
    present = np.array([there for _, there, _ in images])
    weights = np.array([weight if with_weights else 1.0 for *_, weight in images])
    curve = tk.curve_of_scores("A", scores, present, weights=weights if with_weights else None, min_confidence=50)
    table = curve.calibration(bins)
    assert table["images"].sum() == np.isfinite(scores).sum()
    for row in table.itertuples():
        inside = (scores >= row.low) & ((scores < row.high) | ((row.high == 100) & (scores == 100)))
        assert row.images == inside.sum()
        if row.images:
            assert row.present == pytest.approx(np.average(present[inside], weights=weights[inside]))
            assert row.mean_confidence == pytest.approx(np.average(scores[inside], weights=weights[inside]))
            assert row.present_low <= row.present + 1e-12
            assert row.present_high >= row.present - 1e-12
        else:
            assert math.isnan(row.present)
    with pytest.raises(InvalidArgument, match="bins is 0"):
        curve.calibration(0)


@given(st.integers(1, 999), st.integers(1, 12))
@quick
def test_a_confidence_at_an_edge_belongs_to_the_bin_above_whatever_the_floor(tenths: int, bins: int) -> None:
    floor = tenths / 10
    edges = np.linspace(floor, 100, bins + 1)
    curve = tk.curve_of_scores("A", edges, np.ones(bins + 1, dtype=bool), min_confidence=floor)
    table = curve.calibration(bins)
    assert table["images"].tolist() == [1] * (bins - 1) + [2]  # 100 belongs to the last one
    assert (table["mean_confidence"][:-1] == table["low"][:-1]).all()


@pytest.mark.parametrize("kind", [tuple, set, np.array, pd.Index, pd.Series, iter])
def test_several_labels_may_come_in_any_iterable(make, kind) -> None:
    results = make.results({"Gambling": 60, "Alcohol": 90}, {})
    rows = [(ref(n), label, n == 0) for n in range(2) for label in ("Gambling", "Alcohol")]
    truth = tk.make_truth(pd.DataFrame(rows, columns=["source_ref", "label", "present"]))
    curve = tk.threshold_curve(results, truth, kind(["Gambling", "Alcohol", "Gambling"]))
    assert sorted(curve.label.split(" or ")) == ["Alcohol", "Gambling"]
    assert (curve.thresholds.tolist(), curve.positives, curve.negatives) == ([90], 1, 1)
    assert truth.of(kind(["Gambling", "Alcohol"])).to_dict() == {ref(0): True, ref(1): False}
    with pytest.raises(NotLabelled, match="name at least one"):
        tk.threshold_curve(results, truth, kind([]))


def test_several_labels_are_one_curve_of_any_of_them(make) -> None:
    results = make.results({"Gambling": 60, "Alcohol": 90}, {"Alcohol": 70}, {"Gambling": 80}, {}, {"Gambling": 95})
    rows = [
        (0, "Gambling", 0), (0, "Alcohol", 1), (1, "Gambling", 0), (1, "Alcohol", 0), (2, "Gambling", 1),
        (3, "Gambling", 0), (3, "Alcohol", 1), (4, "Gambling", 0),
    ]  # fmt: skip
    truth = tk.make_truth(
        pd.DataFrame([(ref(n), *rest) for n, *rest in rows], columns=["source_ref", "label", "present"])
    )
    curve = tk.threshold_curve(results, truth, ["Gambling", "Alcohol"])
    assert curve.label == "Gambling or Alcohol"
    # 0, 2 and 3 have one of them, 1 has neither; of 4 it is only known that it is not Gambling.
    assert (curve.positives, curve.negatives) == (3, 1)
    assert curve.thresholds.tolist() == [70, 80, 90]
    assert (curve.at(75).tp, curve.at(70).fp, curve.at(70).fn) == (2, 1, 1)
    with pytest.raises(NotLabelled, match="Violence: nobody judged it"):
        tk.threshold_curve(results, truth, ["Gambling", "Violence"])
    with pytest.raises(NotLabelled, match="name at least one"):
        tk.threshold_curve(results, truth, [])


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


@pytest.mark.parametrize("threshold", [55.0, 80.0])
def test_weighted_intervals_cover_where_few_images_stand_for_many(threshold: float) -> None:
    """Most of what is missed lies among unreported images, of which one in 350 is judged: often none is found."""
    random = np.random.default_rng(0)
    there = random.random(20_000) < 0.05
    scores = np.where(there, random.beta(4, 2, 20_000), random.beta(1, 6, 20_000)) * 100
    strata = np.where(scores < 50, 0, 1 + (scores >= 75))
    weight = np.bincount(strata) / 50
    flagged = scores >= threshold
    truth = {"precision": there[flagged].mean(), "recall": flagged[there].mean(), "fpr": flagged[~there].mean()}
    covered = dict.fromkeys(truth, 0)
    for _ in range(150):
        picked = np.concatenate([random.choice(np.flatnonzero(strata == s), 50, replace=False) for s in range(3)])
        seen = np.where(scores[picked] < 50, np.nan, scores[picked])
        curve = tk.curve_of_scores("a", seen, there[picked], weights=weight[strata[picked]], min_confidence=50)
        point = curve.at(threshold)
        for rate, value in truth.items():
            covered[rate] += getattr(point, f"{rate}_low") <= value <= getattr(point, f"{rate}_high")
    assert min(covered.values()) >= 0.95 * 150 - 5


def test_judged_images_that_are_mostly_not_in_the_run_are_said_with_an_example_of_each_side(make) -> None:
    results = make.results({"Gambling": 90}, {}, {})
    judged = [(ref(0), 1), (ref(1), 0), *((f"s3://bucket/my+photos/{n}.jpg", 1) for n in range(3))]
    truth = tk.make_truth(pd.DataFrame(judged, columns=["source_ref", "present"]).assign(label="Gambling"))
    said = r"3 of 5 judged images have no result in the run.*judged: s3://bucket/my\+photos/0.jpg; in the run: .*/2.jpg"
    for ask in (
        lambda: tk.threshold_curve(results, truth, "Gambling"),
        lambda: tk.summarize(results.sources, truth, min_confidence=0).curve("Gambling"),
    ):
        with pytest.warns(UserWarning, match=said.replace("/2", "/[02]")):
            assert ask().unmatched == 3


def test_a_sample_of_a_larger_collection_may_miss_half_of_its_images(make) -> None:
    results = make.results({"Gambling": 90}, {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tk.threshold_curve(results, make.truth("Gambling", [1, 0, 1, 0]), "Gambling").unmatched == 2


def test_what_is_no_run_and_no_truth_is_refused_in_one_sentence(make) -> None:
    results, truth = make.results({"Gambling": 90}, {}), make.truth("Gambling", [1, 0])
    policy = tk.Policy({"Gambling": tk.Rule(block=80)})
    for ask, said in (
        (lambda: tk.threshold_curve(results, "truth.csv", "Gambling"), "truth is of type str; give what read_truth"),
        (lambda: tk.threshold_curve(results, truth.table, "Gambling"), "truth is of type DataFrame"),
        (lambda: tk.threshold_curve("results.jsonl", truth, "Gambling"), "results is of type str; give what read_res"),
        (lambda: tk.threshold_curve(truth, results, "Gambling"), "results is of type Truth"),
        (lambda: tk.choose_policy(results, "truth.csv", "f1"), "truth is of type str"),
        (lambda: tk.compare(results, "other.jsonl", truth, "Gambling", 50), "candidate is of type str"),
        (lambda: tk.compare(results, results, "truth.csv", "Gambling", 50), "truth is of type str"),
        (lambda: tk.summarize(results.sources, "truth.csv"), "truth is of type str"),
        (lambda: tk.summarize(results.sources, policy="p.json"), "policy is of type str; give what Policy.load"),
        (lambda: tk.drift(results, results, policy="p.json"), "policy is of type str"),
        (lambda: policy.forecast("results.jsonl"), "results is of type str"),
        (lambda: policy.decide("results.jsonl"), "results is of type str"),
    ):
        with pytest.raises(InvalidArgument, match=said):
            ask()


@pytest.mark.parametrize("floor", [True, np.True_])
def test_a_truth_value_is_no_number(make, floor) -> None:
    with pytest.raises(InvalidArgument, match=r"min_confidence is .*True.*; give a number from 0 to 100"):
        make.results({"Gambling": 90}, min_confidence=floor)
