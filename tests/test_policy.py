import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.errors import BelowFloor, InvalidPolicy, NotFound


def test_the_strictest_label_decides_and_is_named(make) -> None:
    results = make.results({"Gambling": 85, "Violence": 70}, {"Violence": 95, "Gambling": 55}, {"Gambling": 50}, {})
    policy = tk.Policy({"Gambling": tk.Rule(block=80, review=50), "Violence": tk.Rule(review=60)})
    decided = policy.decide(results)
    assert decided["decision"].tolist() == ["block", "review", "review", "allow"]
    assert decided["label"].tolist()[:3] == ["Gambling", "Violence", "Gambling"]
    assert np.isnan(decided["confidence"].iloc[3])


def test_the_next_job_needs_the_lowest_threshold_in_use() -> None:
    policy = tk.Policy({"Gambling": tk.Rule(block=80, review=42.5), "Violence": tk.Rule(block=60)})
    assert policy.min_confidence == 42.5
    assert tk.Policy({}).min_confidence is None


def test_a_policy_is_refused_on_a_run_that_cannot_speak_about_it(make) -> None:
    with pytest.raises(BelowFloor, match="Gambling at 30"):
        tk.Policy({"Gambling": tk.Rule(block=30)}).decide(make.results({"Gambling": 60}, min_confidence=50))


def test_the_forecast_adds_up_and_failed_images_are_not_in_it(make) -> None:
    forecast = tk.Policy({"Gambling": tk.Rule(block=80)}).forecast(make.results({"Gambling": 85}, {}, {}, {}))
    assert forecast["images"].tolist() == [3, 0, 1]
    assert forecast["per_thousand"].sum() == 1000
    assert (forecast["per_thousand_low"] <= forecast["per_thousand"]).all()
    assert (forecast["per_thousand"] <= forecast["per_thousand_high"]).all()


def test_a_policy_comes_back_as_it_was_saved(tmp_path) -> None:
    policy = tk.Policy({"Gambling": tk.Rule(block=80.5), "Violence": tk.Rule(review=1)}, {"objective": "f1"})
    policy.save(tmp_path / "p.json")
    assert tk.Policy.load(tmp_path / "p.json") == policy


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", json.dumps({"format": "modkit-policy", "version": 2, "rules": {}}),
        json.dumps({"format": "modkit-policy", "version": 1, "rules": {"Gambling": 3}}),
        json.dumps({"format": "modkit-policy", "version": 1, "rules": {"Gambling": {"block": "80", "review": None}}}),
    ],
)  # fmt: skip
def test_a_file_that_is_no_policy_is_refused(tmp_path, text: str) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(InvalidPolicy):
        tk.Policy.load(tmp_path / "p.json")


def test_a_policy_file_that_is_not_there_is_said_so(tmp_path) -> None:
    with pytest.raises(NotFound):
        tk.Policy.load(tmp_path / "p.json")


@pytest.mark.parametrize(
    "rule", [{}, {"block": 101}, {"block": 40, "review": 50}, {"review": float("nan")}, {"block": True}]
)
def test_a_rule_that_makes_no_sense_is_refused(rule) -> None:
    with pytest.raises(InvalidPolicy):
        tk.Rule(**rule)


thresholds = st.none() | st.floats(1, 100)
rules = (
    st.tuples(thresholds, thresholds)
    .filter(any)
    .map(lambda pair: sorted(pair) if all(pair) else pair)
    .map(lambda pair: tk.Rule(review=pair[0], block=pair[1]))
)
confidences = st.dictionaries(st.sampled_from(["Gambling", "Violence", "Alcohol"]), st.floats(1, 100), max_size=3)


@given(st.dictionaries(st.sampled_from(["Gambling", "Violence"]), rules), st.lists(confidences, min_size=1, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
def test_the_exported_function_decides_as_the_policy_does(make, rules, images) -> None:
    policy = tk.Policy(rules)
    namespace: dict = {}
    exec(policy.to_python(), namespace)
    responses = [[{"Name": name, "Confidence": value} for name, value in labels.items()] for labels in images]
    expected = policy.decide(make.results(*images, min_confidence=0))["decision"].tolist()
    assert [namespace["decide"](labels) for labels in responses] == expected


def test_review_bands_become_conditions_of_a2i() -> None:
    policy = tk.Policy(
        {"Gambling": tk.Rule(block=80, review=50), "Violence": tk.Rule(review=60), "Alcohol": tk.Rule(block=9)}
    )
    (either,) = policy.to_a2i()["Conditions"]
    band, open_end = either["Or"]
    assert [check["ConditionParameters"] for check in band["And"]] == [
        {"ModerationLabelName": "Gambling", "ConfidenceGreaterThanEquals": 50},
        {"ModerationLabelName": "Gambling", "ConfidenceLessThan": 80},
    ]
    assert open_end["ConditionParameters"] == {"ModerationLabelName": "Violence", "ConfidenceGreaterThanEquals": 60}
    assert tk.Policy({"Alcohol": tk.Rule(block=9)}).to_a2i() == {"Conditions": []}
