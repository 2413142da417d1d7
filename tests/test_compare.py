import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

import toolkit as tk
from toolkit.compare import _cells, _differences
from toolkit.errors import BelowFloor, NotLabelled

score = st.none() | st.sampled_from([20.0, 50.0, 80.0])
images = st.lists(st.tuples(score, score, st.sampled_from([0, 1, None])), min_size=1, max_size=40)


def runs(make, rows):
    def one(column):
        return make.results(
            *({} if row[column] is None else {"Gambling": row[column]} for row in rows), min_confidence=5
        )

    return one(0), one(1), make.truth("Gambling", [row[2] for row in rows])


def judged(rows):
    return [row for row in rows if row[2] is not None]


def flag(value, threshold):
    return value is not None and value >= threshold


@given(images.filter(lambda rows: judged(rows)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_counts_and_the_test_are_those_of_a_plain_loop(make, rows) -> None:
    found = tk.compare(*runs(make, rows), "Gambling", (50, 80))
    fixed = sum(flag(a, 50) != bool(y) and flag(b, 80) == bool(y) for a, b, y in judged(rows))
    broken = sum(flag(a, 50) == bool(y) and flag(b, 80) != bool(y) for a, b, y in judged(rows))
    assert (found.judged, found.fixed, found.broken) == (len(judged(rows)), fixed, broken)
    expected = binomtest(fixed, fixed + broken, 0.5).pvalue if fixed + broken else 1.0
    assert found.p_value == pytest.approx(expected)
    flips = [(flag(b, 80), y) for a, b, y in rows if flag(a, 50) != flag(b, 80)]
    assert (found.flips["change"] == "flagged now").tolist() == [now for now, _ in flips]
    said = found.flips["present"].astype(object)
    assert said.where(said.notna(), None).tolist() == [None if y is None else bool(y) for _, y in flips]
    rates = found.rates.set_index("measure")
    for column, index, threshold in (("base", 0, 50), ("candidate", 1, 80)):
        assert rates.loc["fp", column] == sum(flag(r[index], threshold) and not r[2] for r in judged(rows))
        assert rates.loc["fn", column] == sum(not flag(r[index], threshold) and r[2] for r in judged(rows))


def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for run in range(200):
        present = random.random(300) < 0.4
        before = np.where(present, random.random(300) < 0.6, random.random(300) < 0.1)
        after = np.where(present, before | (random.random(300) < 0.5), before)  # finds half of the missed: recall 0.8
        row = _differences(_cells(present, before, after), 0.9, run).set_index("measure").loc["recall"]
        covered += row["low"] <= 0.2 <= row["high"]
    assert 0.83 <= covered / 200 <= 0.96


def test_the_same_run_twice_differs_in_nothing(make) -> None:
    base, _, truth = runs(make, [(80.0, 80.0, 1), (20.0, 20.0, 0), (None, None, 1)])
    found = tk.compare(base, base, truth, "Gambling", 50)
    assert (found.fixed, found.broken, found.p_value, len(found.flips)) == (0, 0, 1.0, 0)
    assert (found.rates[["difference", "low", "high"]].fillna(0) == 0).all(axis=None)


def test_improvement_is_the_share_of_mistakes_that_went_away(make) -> None:
    rows = [(80.0, 20.0, 0)] * 3 + [(80.0, 80.0, 0)] + [(20.0, 80.0, 1)]
    found = tk.compare(*runs(make, rows), "Gambling", 50)
    assert (found.improvement("fp"), found.improvement("fn")) == (0.75, 1.0)
    better = tk.compare(*runs(make, [(80.0, 80.0, 1)]), "Gambling", 50)
    assert np.isnan(better.improvement("fp"))


def test_images_that_only_one_run_analyzed_are_left_out_and_counted(make) -> None:
    base = make.results({"Gambling": 80}, {"Gambling": 80}, {}, min_confidence=5)
    candidate = make.results({"Gambling": 80}, min_confidence=5)
    found = tk.compare(base, candidate, make.truth("Gambling", [1, 1, 0]), "Gambling", 50)
    assert (found.judged, found.unpaired) == (1, 2)


def test_a_comparison_that_cannot_be_made_is_refused(make) -> None:
    base = make.results({"Gambling": 80}, min_confidence=50)
    truth = make.truth("Gambling", [1])
    with pytest.raises(BelowFloor):
        tk.compare(base, base, truth, "Gambling", 20)
    with pytest.raises(NotLabelled):
        tk.compare(base, base, truth, "Violence", 60)


def test_a_label_that_neither_model_reports_is_said(make) -> None:
    base = make.results({"Gambling": 80}, {}, min_confidence=50)
    with pytest.warns(
        UserWarning, match=r"reported gambling on none of the 2 judged images.*below 50\); did you mean Gam"
    ):
        tk.compare(base, base, make.truth("gambling", [1, 1]), "gambling", 60)


def test_judged_images_that_are_not_in_both_runs_are_counted_and_said_where_they_are_most(make) -> None:
    base = make.results({"Gambling": 80}, {"Gambling": 80}, {}, min_confidence=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tk.compare(base, base, make.truth("Gambling", [1, 1, 0, 0, 1, 1]), "Gambling", 50).unmatched == 3
    with pytest.warns(
        UserWarning, match=r"4 of 7 judged images have no result in both runs.*judged: .*/3.jpg; in both"
    ):
        tk.compare(base, base, make.truth("Gambling", [1, 1, 0, 0, 1, 1, 0]), "Gambling", 50)
