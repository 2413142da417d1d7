from itertools import pairwise, permutations
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import Maker, ref, result_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

import toolkit as tk
from toolkit.errors import BelowFloor, InvalidArgument
from toolkit.results import histogram_of

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
    edges = [50, *(before[n] for n in (10, 20, 30)), 101]
    parts = []
    for scores in (before, after):
        given_scores = np.array([score for score in scores if score is not None])
        counts = [((given_scores >= low) & (given_scores < high)).sum() for low, high in pairwise(edges)]
        parts.append((np.array([*counts, 100 - len(given_scores)]) + 0.5) / 102.5)
    assert row["psi"] == pytest.approx(np.sum((parts[1] - parts[0]) * np.log(parts[1] / parts[0])))
    assert (row["before"], row["after"], row["shift"]) == (0.4, 0.6, "large")


def run_of(scores, floor: float = 50) -> SimpleNamespace:
    """What `drift` asks a run: one label, an image for each score; None is not reported."""
    reported = np.array([score for score in scores if score is not None], dtype=np.float32)
    return SimpleNamespace(
        n_images=len(scores),
        min_confidence=floor,
        floor_source="caller",
        label_names=lambda: ["Gambling"],
        histogram=lambda label: histogram_of(reported),
    )


def index(before, after, **settings) -> float:
    return float(tk.drift(run_of(before), run_of(after), **settings).labels["psi"][0])


def test_a_shift_between_tied_confidences_is_seen() -> None:
    low, high = [60] * 900 + [90] * 100, [60] * 100 + [90] * 900
    assert index(low, high) == pytest.approx(index(high, low))
    assert index(low, high) > 3
    tens = [value for value in range(55, 105, 5) for _ in range(100)]
    assert index(tens, [100 if value == 95 else value for value in tens]) > 0.1
    assert index([60] * 1000, [90] * 1000) > 3
    assert index([60] * 970 + [70, 80, 90] * 10, [60] * 970 + [70] * 30) > 0.05


frequencies = st.lists(st.integers(0, 60), min_size=4, max_size=4).filter(lambda each: sum(each) >= 4)


@given(frequencies, st.sampled_from(list(permutations(range(4), 2))))
def test_a_shift_between_any_two_of_few_distinct_confidences_is_seen(before, way) -> None:
    after = before.copy()
    source, target = way
    after[source], after[target] = 0, before[source] + before[target]
    shift = index(*(np.repeat([55, 60, 70, 90], each).tolist() for each in (before, after)))
    assert shift == pytest.approx(0, abs=1e-12) if after == before else shift > 1e-6


@given(st.lists(st.integers(50, 100) | st.just(60), min_size=2, max_size=60), st.integers(2, 12))
@settings(deadline=None)
def test_bins_hold_shares_as_equal_as_ties_allow(scores, bins: int) -> None:
    scores = sorted(scores)
    values = sorted(set(scores))

    def cut_between(one: int, other: int) -> bool:
        """Whether an image that goes from one confidence to the other changes its bin."""
        moved = [*scores]
        moved[moved.index(one)] = other
        return index(scores, moved, bins=bins) > 1e-9

    below = [sum(score < other for score in scores) for one, other in pairwise(values) if cut_between(one, other)]
    possible = [sum(score < value for score in scores) for value in values[1:]]
    for quantile in (len(scores) * part / bins for part in range(1, bins) if possible):
        assert min(abs(cut - quantile) for cut in below) == min(abs(cut - quantile) for cut in possible)


def test_two_samples_of_one_collection_have_not_shifted(make) -> None:
    random = np.random.default_rng(0)
    p_values = []
    for _ in range(40):
        one, two = (random.uniform(50, 100, 400) for _ in range(2))
        (row,) = tk.drift(results(make, "b", one), results(make, "a", two)).labels.to_dict("records")
        assert row["shift"] == "none"
        p_values.append(row["p_value"])
    assert np.mean(np.array(p_values) < 0.1) < 0.3


@pytest.mark.parametrize(("images", "later", "share"), [(20, 40, 0.5), (100, 200, 0.5), (100, 10_000, 0.05)])
def test_in_small_runs_chance_alone_is_not_read_as_a_shift(images: int, later: int, share: float) -> None:
    random = np.random.default_rng(images)
    read = {"usual": 0, "shift": 0}
    for _ in range(100):
        runs = [np.where(random.random(n) < share, random.uniform(50, 100, n), None) for n in (images, later)]
        (row,) = tk.drift(*map(run_of, runs)).labels.to_dict("records") or [{"psi": 0, "shift": "none"}]
        read["usual"] += row["psi"] >= 0.1
        read["shift"] += row["shift"] in ("moderate", "large")
    assert read["shift"] <= 8
    assert read["usual"] >= 12


def test_in_small_runs_a_shift_that_is_plain_is_read_as_one() -> None:
    rarer = [[*np.linspace(50, 99, n), *[None] * (100 - n)] for n in (60, 20)]
    # To both sides at once, which Kolmogorov and Smirnov hardly see.
    wider = [
        [*np.linspace(75, 85, 80), *[None] * 420],
        [*np.linspace(52, 58, 40), *np.linspace(92, 98, 40), *[None] * 420],
    ]
    for before, after in (rarer, wider):
        assert tk.drift(run_of(before), run_of(after)).labels["shift"].tolist() == ["large"]


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
    for bins in (1, 2.5):
        with pytest.raises(InvalidArgument, match=f"bins is {bins}"):
            tk.drift(run, run, bins=bins)
    other = tk.read_results(make.write([result_line(7, {"Gambling": 95})], "o.jsonl"), min_confidence=50)
    with pytest.raises(InvalidArgument, match="no image in common"):
        tk.drift(run, other, policy=policy)
