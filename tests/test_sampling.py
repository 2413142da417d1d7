import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_score, recall_score

import toolkit as tk
from toolkit.errors import BelowFloor, InvalidArgument, InvalidObjective, InvalidSample, UnreadableManifest

STRATEGIES = ["uniform", "confidence", "threshold"]


@pytest.fixture
def world(make):
    """A run of 4,000 images, and the whole truth of it: the label is on few, and mostly where the model is sure."""
    random = np.random.default_rng(0)
    present = random.random(4000) < 0.08
    scores = np.where(present, random.beta(4, 2, 4000), random.beta(1, 6, 4000)) * 100
    results = make.results(*({"Gambling": s} if s >= 5 else {} for s in scores), min_confidence=5)
    return results, pd.Series(present, index=results.images["source_ref"])


def labelled(sample: pd.DataFrame, truth: pd.Series, *, weights: bool = True) -> tk.Truth:
    table = sample.assign(present=truth.reindex(sample["source_ref"]).to_numpy())
    return tk.make_truth(table if weights else table.drop(columns=["weight", "probability"]))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_probabilities_are_those_of_the_draw(world, strategy: str) -> None:
    results, _ = world
    sample = tk.sample_for_labeling(results, 300, "Gambling", strategy=strategy, threshold=50)
    assert len(sample) == sample["source_ref"].nunique() == 300
    assert sample["probability"].between(0, 1, inclusive="right").all()
    assert sample["weight"].sum() == pytest.approx(results.n_images)
    drawn = pd.Series(0, index=results.images["source_ref"])
    for seed in range(1, 61):
        again = tk.sample_for_labeling(results, 300, "Gambling", strategy=strategy, threshold=50, seed=seed)
        drawn[again["source_ref"]] += 1
    expected = sample.set_index("source_ref")["probability"]
    assert drawn[expected.index].mean() / 60 == pytest.approx(expected.mean(), rel=0.1)


def test_ignoring_the_probabilities_is_biased_and_carrying_them_is_not(world) -> None:
    results, truth = world
    whole = tk.threshold_curve(
        results, tk.make_truth(truth.rename("present").reset_index().assign(label="Gambling")), "Gambling"
    )
    real = whole.at(40)
    estimates = {True: [], False: []}
    covered = 0
    for seed in range(120):
        sample = tk.sample_for_labeling(results, 400, "Gambling", strategy="confidence", seed=seed)
        for weights, found in estimates.items():
            curve = tk.threshold_curve(results, labelled(sample, truth, weights=weights), "Gambling")
            found.append((curve.at(40).precision, curve.at(40).recall))
            if weights:
                covered += curve.at(40).recall_low <= real.recall <= curve.at(40).recall_high
    weighted, naive = (np.mean(estimates[key], axis=0) for key in (True, False))
    assert weighted == pytest.approx([real.precision, real.recall], abs=0.02)
    assert abs(naive[1] - real.recall) > 0.05
    assert covered / 120 >= 0.9


rows = st.lists(
    st.tuples(st.none() | st.sampled_from([20.0, 50.0, 80.0]), st.booleans(), st.sampled_from([1.0, 2.5, 10.0])),
    min_size=1,
    max_size=30,
)


@given(rows.filter(lambda found: any(there for _, there, _ in found)))
@settings(max_examples=60, deadline=None)
def test_weighted_rates_are_those_of_scikit_learn(found) -> None:
    scores = np.array([np.nan if s is None else s for s, _, _ in found])
    present, weights = np.array([there for _, there, _ in found]), np.array([w for _, _, w in found])
    curve = tk.curve_of_scores("label", scores, present, weights=weights)
    assert curve.average_precision == pytest.approx(
        average_precision_score(present, np.nan_to_num(scores, nan=-1), sample_weight=weights)
    )
    for threshold in curve.table["threshold"]:
        flagged, point = np.nan_to_num(scores, nan=-1) >= threshold, curve.at(threshold)
        assert point.precision == pytest.approx(precision_score(present, flagged, sample_weight=weights))
        assert point.recall == pytest.approx(recall_score(present, flagged, sample_weight=weights))
        assert point.recall_low <= point.recall + 1e-9
        assert point.recall <= point.recall_high + 1e-9


@given(rows)
@settings(max_examples=40, deadline=None)
def test_equal_weights_change_nothing(found) -> None:
    scores = [np.nan if s is None else s for s, _, _ in found]
    present = [there for _, there, _ in found]
    plain = tk.curve_of_scores("label", scores, present).table
    weighted = tk.curve_of_scores("label", scores, present, weights=np.full(len(found), 3.0)).table
    pd.testing.assert_frame_equal(plain, weighted, rtol=1e-6)


@given(st.integers(1, 30), st.sampled_from(STRATEGIES), st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_as_many_images_are_picked_as_were_asked_for(make, n: int, strategy: str, seed: int) -> None:
    scores = np.random.default_rng(seed).uniform(0, 100, 20)
    results = make.results(*({"Gambling": s} if s >= 30 else {} for s in scores), min_confidence=30)
    try:
        sample = tk.sample_for_labeling(results, n, "Gambling", strategy=strategy, threshold=60, seed=seed)
    except InvalidSample as error:
        assert "one from each part" in str(error)  # noqa: PT017  (either outcome is right)
        return
    assert len(sample) == min(n, 20)


def test_weights_come_back_from_a_file_and_are_checked(tmp_path, world) -> None:
    results, truth = world
    sample = tk.sample_for_labeling(results, 100, "Gambling")
    sample.assign(present=truth.reindex(sample["source_ref"]).astype(int).to_numpy()).to_csv(
        tmp_path / "t.csv", index=False
    )
    read = tk.read_truth(tmp_path / "t.csv")
    assert read.weights is not None
    assert read.weights.sum() == pytest.approx(results.n_images)
    for bad in ("0", "-1", "", "many"):
        (tmp_path / "b.csv").write_text(f"source_ref,label,present,weight\nx,Gambling,1,{bad}\n")
        with pytest.raises(UnreadableManifest, match="positive number"):
            tk.read_truth(tmp_path / "b.csv")
    (tmp_path / "b.csv").write_text("source_ref,label,present,weight\nx,Gambling,1,2\nx,Violence,1,3\n")
    with pytest.raises(UnreadableManifest, match="two weights"):
        tk.read_truth(tmp_path / "b.csv")


def test_weighted_samples_promise_nothing(world) -> None:
    results, truth = world
    curve = tk.threshold_curve(results, labelled(tk.sample_for_labeling(results, 300, "Gambling"), truth), "Gambling")
    assert tk.choose_threshold(curve, "precision>=0.7").threshold is not None
    uniform = labelled(tk.sample_for_labeling(results, 300, "Gambling", strategy="uniform"), truth)
    promised = tk.choose_threshold(
        tk.threshold_curve(results, uniform, "Gambling"), "recall>=0.5", confidence_level=0.9
    )
    assert promised.threshold is not None
    with pytest.raises(InvalidObjective, match="weighted samples"):
        tk.choose_threshold(curve, "precision>=0.7", confidence_level=0.9)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_sample_of_unequal_chances_promises_nothing_where_only_its_equal_part_is_judged(
    tmp_path, world, suffix: str
) -> None:
    results, truth = world
    sample = tk.sample_for_labeling(results, 300, "Gambling", strategy="threshold", threshold=50)
    said = truth.reindex(sample["source_ref"]).astype(int).astype(str).to_numpy()
    alike = sample["weight"] == sample["weight"].max()
    sample["present"] = np.where(alike, said, "")
    path = tmp_path / f"t.{suffix}"
    sample.to_csv(path, index=False) if suffix == "csv" else sample.to_parquet(path, index=False)
    for judged in (tk.read_truth(path), tk.make_truth(sample)):
        assert judged.n_images == alike.sum() < 300
        assert judged.weights.unique().tolist() == [sample["weight"].max()]
        curve = tk.threshold_curve(results, judged, "Gambling")
        with pytest.raises(InvalidObjective, match="weighted samples"):
            tk.choose_threshold(curve, "recall>=0.1", confidence_level=0.95)


def test_a_request_that_makes_no_sense_is_refused(world) -> None:
    results, _ = world
    with pytest.raises(InvalidSample, match="at least one image"):
        tk.sample_for_labeling(results, 0, "Gambling")
    with pytest.raises(InvalidSample, match="seed is -1; give 0"):
        tk.sample_for_labeling(results, 9, "Gambling", seed=-1)
    with pytest.raises(InvalidSample, match="needs a threshold"):
        tk.sample_for_labeling(results, 9, "Gambling", strategy="threshold")
    with pytest.raises(InvalidSample, match="choose one of uniform"):
        tk.sample_for_labeling(results, 9, "Gambling", strategy="best")


@pytest.mark.parametrize("request_", [{"n": "many"}, {"n": 9.5}, {"seed": "a"}, {"seed": 0.5}])
def test_numbers_of_a_request_are_whole_ones(world, request_: dict) -> None:
    with pytest.raises(InvalidArgument, match="give a whole number"):
        tk.sample_for_labeling(world[0], **({"n": 9, "label": "Gambling"} | request_))


@pytest.mark.parametrize("threshold", ["a", float("nan"), 500, -1])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_threshold_to_sample_near_is_a_confidence(world, strategy: str, threshold: float) -> None:
    with pytest.raises(InvalidArgument, match=r"threshold is .* from 0 to 100"):
        tk.sample_for_labeling(world[0], 9, "Gambling", strategy=strategy, threshold=threshold)


def test_nothing_is_sampled_near_a_threshold_at_which_nothing_was_reported(world) -> None:
    with pytest.raises(BelowFloor, match="Gambling at 4: this run reported nothing below 5"):
        tk.sample_for_labeling(world[0], 9, "Gambling", strategy="threshold", threshold=4)
    assert len(tk.sample_for_labeling(world[0], 9, "Gambling", strategy="threshold", threshold=np.float32(5))) == 9
