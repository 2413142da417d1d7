import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.errors import InvalidObjective
from toolkit.tuning import OBJECTIVES


def curve_of(make, pairs):
    results = make.results(*({} if score is None else {"Gambling": score} for score, _ in pairs), min_confidence=5)
    return tk.threshold_curve(results, make.truth("Gambling", [present for _, present in pairs]), "Gambling")


SAMPLE = [(95.0, 1), (90.0, 1), (85.0, 0), (80.0, 1), (40.0, 0), (30.0, 1), (20.0, 0), (None, 0), (None, 1)]


@pytest.mark.parametrize(
    ("objective", "threshold"),
    [
        ("precision>=1", 90), ("precision>=0.75", 80), ("recall>=0.8", 30), ("recall>=0.5", 80),
        ("fpr<=0.25", 80), ("flagged<=0.3", 90), ("f1", 30), ("cost fp=1 fn=10", 30), ("cost fp=5 fn=1", 90),
        (" Precision >= 0.75 ", 80),
    ],
)  # fmt: skip
def test_each_objective_picks_what_a_person_would(make, objective: str, threshold: float) -> None:
    choice = tk.choose_threshold(curve_of(make, SAMPLE), objective)
    assert choice.threshold == threshold
    assert choice.point is not None
    assert choice.reason


@given(st.lists(st.tuples(st.none() | st.integers(5, 100).map(float), st.integers(0, 1)), min_size=2, max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_no_other_threshold_serves_the_objective_better(make, pairs) -> None:
    curve = curve_of(make, pairs)
    choice = tk.choose_threshold(curve, "precision>=0.7")
    good = [curve.at(t) for t in curve.table["threshold"]]
    good = [point for point in good if point.precision >= 0.7 and point.tp]
    if choice.point is None:
        assert not good or not curve.positives or not curve.negatives
    else:
        assert choice.point.precision >= 0.7
        assert choice.point.recall == max(point.recall for point in good)


def test_where_no_threshold_will_do_the_reason_says_so_and_no_threshold_is_named(make) -> None:
    choice = tk.choose_threshold(curve_of(make, [(90.0, 0), (80.0, 1), (20.0, 0)]), "precision>=0.9")
    assert choice.threshold is None
    assert choice.point is None
    assert "no threshold reaches precision>=0.9 on the 3 judged images; the nearest is precision 0.500" in choice.reason


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ([(90.0, 0), (80.0, 0)], "on none of the 2 judged images"),
        ([(90.0, 1), (80.0, 1)], "on all of the 2 judged images"),
        ([(90.0, 0), (None, 1)], "reported Gambling on none of the 1 judged images that show it"),
    ],
)
def test_a_sample_that_cannot_answer_says_what_is_missing(make, pairs, why: str) -> None:
    choice = tk.choose_threshold(curve_of(make, pairs), "f1")
    assert choice.threshold is None
    assert why in choice.reason


def test_flagging_nothing_may_be_the_cheapest(make) -> None:
    choice = tk.choose_threshold(curve_of(make, [(90.0, 0), (80.0, 1)]), "cost fp=100 fn=1")
    assert choice.threshold is None
    assert "flagging nothing" in choice.reason


@pytest.mark.parametrize(
    "objective",
    ["", "precision", "precision<=0.9", "recall>=90", "f3", "cost fp=-1 fn=1", "precision>=x", "recall>=nan"],
)
def test_an_unreadable_objective_lists_the_readable_ones(make, objective: str) -> None:
    with pytest.raises(InvalidObjective, match="cost fp=1 fn=10"):
        tk.choose_threshold(curve_of(make, SAMPLE), objective)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_documented_objective_can_be_read(make, objective: str) -> None:
    tk.choose_threshold(curve_of(make, SAMPLE), objective)
