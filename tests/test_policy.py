import hashlib
import json
import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import ref, result_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit import taxonomy
from toolkit.errors import BelowFloor, InvalidObjective, InvalidPolicy, NotFound, NotLabelled


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
    ("text", "why"),
    [
        ("", "not a policy file"),
        ("[]", "not a policy file"),
        ("[" * 100_000, "not a policy file"),
        ('{"format": "\\ud800", "version": 2, "rules": {}}', "not a policy file"),
        ("{}", "not a policy file"),
        (json.dumps({"format": "modkit-policy", "version": 3, "rules": {}}), "version 3; this toolkit reads"),
        (json.dumps({"format": "modkit-policy", "version": 2, "rules": {}}), "changed since it was saved"),
    ],
)
def test_a_file_that_is_no_policy_is_refused(tmp_path, text: str, why: str) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(InvalidPolicy, match=why):
        tk.Policy.load(tmp_path / "p.json")


@pytest.mark.parametrize(
    ("before", "after"),
    [('"block": 80', '"block": 81'), ('"f1"', '"f2"'), ('"Gambling"', '"Violence"'), ('"sha256": "', '"sha256": "0')],
)
def test_a_policy_that_was_changed_after_it_was_saved_is_refused(tmp_path, before: str, after: str) -> None:
    tk.Policy({"Gambling": tk.Rule(block=80)}, {"objective": "f1"}).save(tmp_path / "p.json")
    text = (tmp_path / "p.json").read_text()
    assert before in text
    (tmp_path / "p.json").write_text(text.replace(before, after, 1))
    with pytest.raises(InvalidPolicy, match=r"changed since it was saved.*choose the thresholds again"):
        tk.Policy.load(tmp_path / "p.json")


@pytest.mark.parametrize(
    "value", [pd.Timestamp(0), Path("a"), np.int64(3), {1, 2}, {(1, 2): 3}, "\ud800", float("nan")]
)
def test_a_provenance_that_json_cannot_hold_is_refused(tmp_path, value: object) -> None:
    with pytest.raises(InvalidPolicy, match="not written, as the provenance holds something that JSON cannot"):
        tk.Policy({}, {"why": [value]}).save(tmp_path / "p.json")
    assert not (tmp_path / "p.json").exists()


def test_a_provenance_is_not_taken_for_changed_by_what_json_makes_of_it(tmp_path) -> None:
    tk.Policy({}, {10: "ten", 2: "two", "both": (2, 10)}).save(tmp_path / "p.json")
    assert tk.Policy.load(tmp_path / "p.json").provenance == {"10": "ten", "2": "two", "both": [2, 10]}


@pytest.mark.parametrize("rules", ["3", '{"Gambling": 3}', '{"Gambling": {"block": "80", "review": null}}'])
def test_rules_that_are_none_are_refused_whoever_signed_them(tmp_path, rules: str) -> None:
    document = {"format": "modkit-policy", "version": 2, "rules": json.loads(rules)}
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    (tmp_path / "p.json").write_text(json.dumps(document | {"sha256": digest}))
    with pytest.raises(InvalidPolicy):
        tk.Policy.load(tmp_path / "p.json")


def two_labels(make, n: int = 400) -> tuple[tk.Results, tk.Truth]:
    """Gambling is told apart well, Alcohol not at all; every image is judged."""
    random = np.random.default_rng(3)
    present = {"Gambling": random.random(n) < 0.3, "Alcohol": random.random(n) < 0.3}
    scores = {
        "Gambling": np.clip(random.normal(50 + 30 * present["Gambling"], 11), 0, 100),
        "Alcohol": random.uniform(0, 100, n),
    }
    results = make.results(*({name: float(scores[name][i]) for name in scores} for i in range(n)))
    rows = [(ref(i), name, bool(there[i])) for name, there in present.items() for i in range(n)]
    return results, tk.make_truth(pd.DataFrame(rows, columns=["source_ref", "label", "present"]), "two.csv")


def test_a_policy_is_chosen_label_by_label_and_says_why_one_is_missing(make) -> None:
    results, truth = two_labels(make)
    chosen = tk.choose_policy(results, truth, "precision>=0.9")
    curve = tk.threshold_curve(results, truth, "Gambling")
    assert chosen.policy.rules == {"Gambling": tk.Rule(block=tk.choose_threshold(curve, "precision>=0.9").threshold)}
    table = chosen.table.set_index(["label", "band"])
    assert table.loc[("Gambling", "block"), "precision"] >= 0.9
    assert np.isnan(table.loc[("Alcohol", "block"), "threshold"])
    assert "no threshold reaches precision>=0.9" in table.loc[("Alcohol", "block"), "reason"]
    assert repr(chosen) == "PolicyChoice(1 of 2 thresholds found)"


def test_block_and_review_have_objectives_of_their_own(make) -> None:
    results, truth = two_labels(make)
    objectives = {
        "Gambling": {"block": "precision>=0.99", "review": "recall>=0.98"},
        "Alcohol": {"review": "recall>=0.5"},
    }
    chosen = tk.choose_policy(results, truth, objectives)
    gambling, alcohol = chosen.policy.rules["Gambling"], chosen.policy.rules["Alcohol"]
    assert gambling.review < gambling.block
    assert alcohol.block is None
    decided = chosen.policy.decide(results).set_index("source_ref")["decision"]
    present = truth.of("Gambling").reindex(decided.index)
    assert (decided[present] != "allow").mean() >= 0.98
    swapped = {"Gambling": {"block": "recall>=0.98", "review": "precision>=0.99"}}
    assert tk.choose_policy(results, truth, swapped).policy.rules == {"Gambling": tk.Rule(block=gambling.review)}


def test_many_promises_are_kept_all_at_once(make) -> None:
    results, truth = two_labels(make)
    objectives = {"Gambling": {"block": "precision>=0.9", "review": "recall>=0.8"}, "Alcohol": "flagged<=0.5"}
    chosen = tk.choose_policy(results, truth, objectives, confidence_level=0.94)
    for (label, _), choice in chosen.choices.items():
        curve = tk.threshold_curve(results, truth, label)
        alone = tk.choose_threshold(curve, choice.objective, confidence_level=0.98)
        assert (choice.threshold, choice.confidence_level) == (alone.threshold, pytest.approx(0.98))
    assert repr(chosen) == "PolicyChoice(3 of 3 thresholds found, all promised with 0.94)"


@pytest.mark.parametrize(
    ("objectives", "error"),
    [
        ({}, InvalidObjective),
        ({"Gambling": {"ban": "f1"}}, InvalidObjective),
        ({"Gambling": "best"}, InvalidObjective),
        (None, InvalidObjective),
        ({"Gambling": None}, InvalidObjective),
        ({"Gambling": {"block": None}}, InvalidObjective),
        ({"Violence": "f1"}, NotLabelled),
    ],
)
def test_what_cannot_be_chosen_is_said(make, objectives, error) -> None:
    results, truth = two_labels(make, 30)
    with pytest.raises(error):
        tk.choose_policy(results, truth, objectives)


def test_a_policy_knows_where_it_comes_from(make, tmp_path) -> None:
    results, truth = two_labels(make)
    chosen = tk.choose_policy(results, truth, {"Gambling": "f1"}, confidence_level=None)
    chosen.policy.save(tmp_path / "p.json")
    told = tk.Policy.load(tmp_path / "p.json").provenance
    assert told["results"]["sources"] == [str(make.folder / "results.jsonl")]
    assert told["truth"] == {"source": "two.csv", "images": 400, "judgements": 800}
    assert told["objectives"][0]["objective"] == "f1"
    assert datetime.fromisoformat(told["chosen"]) <= datetime.now(UTC)
    assert "confidence_level" not in told
    both = dict.fromkeys(("Gambling", "Alcohol"), "precision>=0.1")
    told = tk.choose_policy(results, truth, both, confidence_level=0.9).policy.provenance
    assert told["confidence_level"] == 0.9
    assert [each["confidence_level"] for each in told["objectives"]] == [pytest.approx(0.95)] * 2


def test_a_policy_file_that_is_not_there_is_said_so(tmp_path) -> None:
    with pytest.raises(NotFound):
        tk.Policy.load(tmp_path / "p.json")


@pytest.mark.parametrize(
    "rule",
    [{}, {"block": 101}, {"block": 40, "review": 50}, {"review": float("nan")}, {"block": True}, {"block": "80"}],
)
def test_a_rule_that_makes_no_sense_is_refused(rule) -> None:
    with pytest.raises(InvalidPolicy):
        tk.Rule(**rule)


def test_a_threshold_may_be_any_real_number_and_is_kept_as_float(tmp_path) -> None:
    given = [80, np.int64(80), np.float64(80), np.float32(80)]
    assert {tk.Rule(block=value) for value in given} == {tk.Rule(block=80.0)}
    narrow = np.float32(80.1)
    policy = tk.Policy({"Gambling": tk.Rule(block=narrow)})
    policy.save(tmp_path / "p.json")
    (again,) = tk.Policy.load(tmp_path / "p.json").rules.values()
    assert type(again.block) is float
    assert np.float32(again.block) == narrow  # flags the same images
    with pytest.raises(InvalidPolicy, match="review must not start above block"):
        tk.Rule(block=narrow, review=80.1)  # which the file could not hold: there, 80.1 is more


NEW = "Drugs & Tobacco Paraphernalia & Use"
OLD = "Drug & Tobacco Paraphernalia & Use"


def test_a_label_in_two_spellings_has_one_rule() -> None:
    with pytest.raises(InvalidPolicy, match=f"'{OLD}' and '{NEW}' are the same label"):
        tk.Policy({OLD: tk.Rule(block=60), NEW: tk.Rule(block=95)})
    assert tk.Policy({OLD: tk.Rule(block=60)}).with_rule(NEW, tk.Rule(block=95)).rules == {NEW: tk.Rule(block=95)}


def test_what_is_exported_knows_every_spelling_of_a_label() -> None:
    for old, new in taxonomy._SPELLINGS.items():
        policy = tk.Policy({new: tk.Rule(block=80, review=60)})
        namespace: dict = {}
        exec(policy.to_python(), namespace)
        (either,) = policy.to_a2i()["Conditions"]
        for name, band in zip((new, old), either["Or"], strict=True):
            assert namespace["decide"]([{"Name": name, "Confidence": 90.0}]) == "block"
            assert {check["ConditionParameters"]["ModerationLabelName"] for check in band["And"]} == {name}


thresholds = st.none() | st.floats(1, 100)
rules = (
    st.tuples(thresholds, thresholds)
    .filter(any)
    .map(lambda pair: sorted(pair) if all(pair) else pair)
    .map(lambda pair: tk.Rule(review=pair[0], block=pair[1]))
)
confidences = st.dictionaries(st.sampled_from(["Gambling", "Violence", OLD, NEW]), st.floats(1, 100), max_size=3)


@given(st.dictionaries(st.sampled_from(["Gambling", NEW]), rules), st.lists(confidences, min_size=1, max_size=8))
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


@given(st.floats(1, 100), st.floats(1, 100), st.integers(-2, 2))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_conditions_of_a2i_decide_as_the_policy_does_in_double_precision(make, one, other, steps) -> None:
    rule = tk.Rule(review=min(one, other), block=max(one, other))
    near = [np.float32(edge) for edge in (rule.review, rule.block)]
    for _ in range(abs(steps)):
        near = [np.nextafter(edge, np.float32(1000 * steps)) for edge in near]
    near = [float(np.clip(edge, 0, 100)) for edge in near]
    policy = tk.Policy({"Gambling": rule})
    decided = policy.decide(make.results(*({"Gambling": value} for value in near), min_confidence=0))["decision"]
    (band,) = json.loads(json.dumps(policy.to_a2i()))["Conditions"]
    ends = {name: value for check in band["And"] for name, value in check["ConditionParameters"].items()}
    asked = [ends["ConfidenceGreaterThanEquals"] <= value < ends["ConfidenceLessThan"] for value in near]
    assert asked == (decided == "review").tolist()


def test_a_threshold_between_two_confidences_is_exported_as_the_one_that_it_means(make) -> None:
    policy = tk.Policy({"Gambling": tk.Rule(review=90.16691)})
    assert policy.decide(make.results({"Gambling": 90.16690826416016}))["decision"].tolist() == ["review"]
    (condition,) = policy.to_a2i()["Conditions"]
    assert condition["ConditionParameters"]["ConfidenceGreaterThanEquals"] == 90.16690826416016


@pytest.mark.parametrize(
    ("label", "advice"),
    [
        ("explicit", "did you mean Explicit?"),
        ("GAMBLING", "did you mean Gambling?"),
        ("House lable", "did you mean House label?"),
        ("Quite something else", "name one that was reported, or is in the taxonomy."),
    ],
)
def test_a_label_that_nobody_knows_is_warned_of_where_a_policy_is_applied(make, label: str, advice: str) -> None:
    results = make.results({"Gambling": 85, "House label": 70}, {})
    policy = tk.Policy({label: tk.Rule(block=60), "House label": tk.Rule(block=60), "Violence": tk.Rule(block=60)})
    for apply in (policy.decide, policy.forecast):
        with pytest.warns(UserWarning, match="neither in the taxonomy") as warned:
            apply(results)
        (said,) = (str(each.message) for each in warned)
        assert said == (
            f"{label} is neither in the taxonomy nor reported in this run, so its rule flags nothing; {advice}"
        )


def test_labels_of_the_taxonomy_and_of_the_run_are_not_warned_of(make, recwarn) -> None:
    results = make.results({"House label": 70})
    tk.Policy({name: tk.Rule(block=60) for name in ("House label", *taxonomy.PARENTS)}).forecast(results)
    tk.Policy({OLD: tk.Rule(block=60)}).decide(results)
    assert not recwarn.list


def chosen_on(make, **answered) -> tuple[tk.Results, tk.Policy]:
    scores = [{"Gambling": 90 - number} for number in range(9)]
    results = make.results(*scores, **answered)
    truth = make.truth("Gambling", [1, 1, 1, 1, 0, 0, 0, 0, 0])
    return results, tk.choose_policy(results, truth, {"Gambling": "f1"}).policy


def test_a_policy_of_another_model_is_said_wherever_it_meets_results(make, tmp_path) -> None:
    _, policy = chosen_on(make, model_version="7.0")
    policy.save(tmp_path / "p.json")
    policy = tk.Policy.load(tmp_path / "p.json")
    later = make.results({"Gambling": 85}, model_version="7.1")
    for ask in (
        lambda: policy.decide(later),
        lambda: policy.forecast(later),
        lambda: tk.drift(later, later, policy=policy),
        lambda: tk.summarize(later.sources, policy=policy, min_confidence=0).forecast(),
    ):
        with pytest.warns(UserWarning, match=r"chosen on answers of model 7\.0, and these are of model 7\.1, .*again"):
            ask()


def test_a_policy_of_the_base_model_is_another_than_that_of_an_adapter(make) -> None:
    adapter = "arn:aws:rekognition:us-east-1:111122223333:project/a/version/1/1"
    by_adapter, of_adapter = chosen_on(make, project_version=adapter)
    by_base, of_base = chosen_on(make)
    with pytest.warns(UserWarning, match=f"model 7.0, and these are of model 7.0 {adapter}"):
        of_base.decide(by_adapter)
    with pytest.warns(UserWarning, match=f"model 7.0 {adapter}, and these are of model 7.0,"):
        of_adapter.decide(by_base)


def test_a_policy_says_nothing_about_models_that_it_comes_from_or_does_not_know(make) -> None:
    results, policy = chosen_on(make)
    arns = [f"arn:aws:rekognition:us-east-1:111122223333:project/{name}/version/1/1" for name in "ab"]
    lines = [result_line(number, {"Gambling": 85}, project_version=arns[number % 2]) for number in range(9)]
    both = tk.read_results(make.write(lines, "both.jsonl"), min_confidence=0)
    truth = make.truth("Gambling", [1, 0] * 4)
    of_both = tk.choose_policy(both, truth, {"Gambling": "recall>=0.1"}).policy
    older = {"results": {"sources": [], "images": 9, "min_confidence": 0, "adapters": []}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        policy.decide(results)
        of_both.decide(both)
        for provenance in ({}, older, {"results": "by hand"}, {"results": {"models": "7.0"}}):
            tk.Policy(policy.rules, provenance).decide(both)
        policy.with_rule("Gambling", tk.Rule(block=50)).decide(both)  # picked since, perhaps on this run
