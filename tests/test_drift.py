from itertools import pairwise

import numpy as np
import pytest
from helpers import Maker, ref, result_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

import toolkit as tk
from toolkit.errors import BelowFloor, InvalidArgument

runs = st.lists(st.none() | st.sampled_from([50.0, 60.0, 99.9]) | st.floats(50, 100, width=32), min_size=1, max_size=40)


def results(make: Maker, name: str, scores, floor: float = 50) -> tk.Results:
    lines = [result_line(n, {} if score is None else {"Gambling": score}) for n, score in enumerate(scores)]
    return tk.read_results(make.write(lines, f"{name}.jsonl"), min_confidence=floor)


@given(runs, runs)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_the_distance_is_that_of_scipy(make, one, two) -> None:
    found = tk.drift(results(make, "before", one), results(make, "after", two)).labels
    if not len(found):
        assert all(score is None for score in one + two)
        return
    ranked = [np.array([0 if score is None else score for score in scores], dtype=np.float32) for scores in (one, two)]
    with np.errstate(divide="ignore"):  # of one image against one
        expected = ks_2samp(*ranked, method="asymp")
    assert found["ks"][0] == pytest.approx(expected.statistic)
    if len(one) * len(two) > len(one) + len(two):  # for smaller ones scipy has no asymptotic p-value
        assert found["p_value"][0] == pytest.approx(expected.pvalue)
    assert found["psi"][0] >= -1e-12


def test_the_index_is_the_sum_over_the_quantiles_of_the_earlier_run(make) -> None:
    before = [*np.linspace(50, 99, 40), *[None] * 60]
    after = [*np.linspace(80, 99, 60), *[None] * 40]
    (row,) = tk.drift(results(make, "b", before), results(make, "a", after), bins=4).labels.to_dict("records")
    edges = [50, *(before[n] for n in (9, 19, 29)), 101]
    parts = []
    for scores in (before, after):
        given_scores = np.array([score for score in scores if score is not None])
        counts = [((given_scores >= low) & (given_scores < high)).sum() for low, high in pairwise(edges)]
        parts.append((np.array([*counts, 100 - len(given_scores)]) + 0.5) / 102.5)
    assert row["psi"] == pytest.approx(np.sum((parts[1] - parts[0]) * np.log(parts[1] / parts[0])))
    assert (row["before"], row["after"], row["shift"]) == (0.4, 0.6, "large")


def test_two_samples_of_one_collection_have_not_shifted(make) -> None:
    random = np.random.default_rng(0)
    p_values = []
    for _ in range(40):
        one, two = (random.uniform(50, 100, 400) for _ in range(2))
        (row,) = tk.drift(results(make, "b", one), results(make, "a", two)).labels.to_dict("records")
        assert row["shift"] == "none"
        p_values.append(row["p_value"])
    assert np.mean(np.array(p_values) < 0.1) < 0.3


def test_below_the_higher_floor_nothing_is_compared(make) -> None:
    before, after = results(make, "b", [20, 30, 90, None], floor=10), results(make, "a", [None, None, 90, None])
    found = tk.drift(before, after)
    assert found.min_confidence == 50
    assert found.labels[["before", "after", "ks"]].to_numpy().tolist() == [[0.25, 0.25, 0]]


def test_a_policy_says_which_images_it_decides_differently(make) -> None:
    policy = tk.Policy({"Gambling": tk.Rule(block=90, review=60)})
    before, after = results(make, "b", [95, 70, 55, 95]), results(make, "a", [95, 95, 70])
    found = tk.drift(before, after, policy=policy)
    assert found.decisions.loc["review", "block"] == found.decisions.loc["allow", "review"] == 1
    assert found.decisions.to_numpy().sum() == 3
    assert found.flips.to_numpy().tolist() == [[ref(1), "review", "block"], [ref(2), "allow", "review"]]
    assert "2 decisions changed" in repr(found)
    with pytest.raises(BelowFloor, match="Gambling at 60"):
        tk.drift(before, results(make, "high", [95], floor=80), policy=policy)


def test_what_cannot_be_compared_is_said(make) -> None:
    run = results(make, "b", [95])
    policy = tk.Policy({"Gambling": tk.Rule(block=90)})
    summary = tk.summarize(make.folder / "b.jsonl", min_confidence=50)
    assert tk.drift(summary, run).labels["psi"].tolist() == [0]
    with pytest.raises(InvalidArgument, match="leave the policy out"):
        tk.drift(run, summary, policy=policy)
    with pytest.raises(InvalidArgument, match="has no images"):
        tk.drift(run, results(make, "a", []))
    with pytest.raises(InvalidArgument, match="bins is 1"):
        tk.drift(run, run, bins=1)
    other = tk.read_results(make.write([result_line(7, {"Gambling": 95})], "o.jsonl"), min_confidence=50)
    with pytest.raises(InvalidArgument, match="no image in common"):
        tk.drift(run, other, policy=policy)
