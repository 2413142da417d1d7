"""From results to decisions: tune, compare, sample, policy, drift, report."""

import json

import numpy as np
import pandas as pd
import pytest
from cli_process import modkit, one_sentence
from helpers import ref, result_line

import toolkit as tk
from toolkit import manifests
from toolkit.cli import output
from toolkit.errors import NotFound


def test_tune_says_what_the_library_says_and_saves_a_policy(run) -> None:
    command = ("tune", run / "results.jsonl", "--truth", run / "truth.csv", "--min-confidence", 50)
    answer = json.loads(modkit(*command, "--save", run / "policy.json", "--json").stdout)
    results = tk.read_results(run / "results.jsonl", min_confidence=50)
    choice = tk.choose_threshold(
        tk.threshold_curve(results, tk.read_truth(run / "truth.csv"), "Gambling"), "precision>=0.9"
    )
    assert answer["labels"]["Gambling"]["threshold"] == choice.threshold == 80
    assert tk.Policy.load(run / "policy.json").rules == {"Gambling": tk.Rule(block=80.0)}


def test_tune_promises_only_what_the_sample_supports(run) -> None:
    command = ("tune", run / "results.jsonl", "--truth", run / "truth.csv", "--confidence-level", 0.95)
    answer = json.loads(modkit(*command, "--json").stdout)
    assert answer["labels"]["Gambling"]["threshold"] is None
    assert "cannot be promised with probability 0.95" in answer["labels"]["Gambling"]["reason"]
    assert "between 0 and 1" in one_sentence(modkit(*command[:-1], 1.5))


def test_compare_says_what_the_library_says(run) -> None:
    lines = [result_line(number, {"Gambling": 90 if number in (0, 1, 3) else 40}) for number in range(6)]
    (run / "other.jsonl").write_text("".join(lines))
    command = (
        "compare",
        run / "results.jsonl",
        run / "other.jsonl",
        "--truth",
        run / "truth.csv",
        "--label",
        "Gambling",
    )
    answer = json.loads(modkit(*command, "--threshold", 65, "--json").stdout)
    assert (answer["judged"], answer["fixed"], answer["broken"], answer["p_value"]) == (6, 2, 0, 0.5)
    assert {flip["source_ref"] for flip in answer["flips"]} == {ref(2), ref(3)}
    assert "2 mistakes fixed, 0 made anew" in modkit(*command, "--threshold", 65).stdout


def test_sample_writes_images_to_label_with_their_weights(run) -> None:
    command = ("sample", run / "results.jsonl", run / "todo.csv", "--label", "Gambling", "-n", 5)
    assert json.loads(modkit(*command, "--json").stdout)["images"] == 5
    todo = pd.read_csv(run / "todo.csv")
    assert todo["present"].isna().all()
    assert todo["weight"].sum() == pytest.approx(6)
    assert "is there already" in one_sentence(modkit(*command))
    (run / "todo.csv").unlink()
    assert "choose one of" in one_sentence(modkit(*command, "--strategy", "best"))


def test_a_policy_is_applied_and_exported(run) -> None:
    tk.Policy({"Gambling": tk.Rule(block=80, review=60)}).save(run / "p.json")
    results = (run / "p.json", run / "results.jsonl", "--min-confidence", 50)
    answer = json.loads(modkit("policy", "apply", *results, "--save", run / "decisions.csv", "--json").stdout)
    assert [row["images"] for row in answer["forecast"]] == [2, 2, 2]
    assert (answer["not_analyzed"], answer["min_confidence"]) == (1, 60)
    decisions = pd.read_csv(run / "decisions.csv")
    assert decisions["decision"].tolist() == ["block", "block", "review", "review", "allow", "allow"]
    assert "def decide" in modkit("policy", "export", run / "p.json", "python").stdout
    assert json.loads(modkit("policy", "export", run / "p.json", "a2i").stdout)["Conditions"]
    tk.Policy({"gambling": tk.Rule(block=80)}).save(run / "odd.json")
    odd = modkit("policy", "apply", run / "odd.json", *results[1:], "--save", run / "odd.csv")
    assert odd.returncode == 0
    assert odd.stderr.count("did you mean Gambling?") == 1
    tk.Policy({"Gambling": tk.Rule(block=80, review=30)}).save(run / "low.json")
    below = one_sentence(modkit("policy", "apply", run / "low.json", run / "results.jsonl", "--min-confidence", 50))
    assert "rerun the job with MinConfidence 30" in below


def test_drift_says_what_the_library_says(run, make) -> None:
    later = make.write([result_line(n, {"Gambling": 95}) for n in range(6)], "later.jsonl")
    tk.Policy({"Gambling": tk.Rule(block=80)}).save(run / "p.json")
    command = ("drift", run / "results.jsonl", later, "--policy", run / "p.json", "--min-confidence", 50)
    answer = json.loads(modkit(*command, "--json").stdout)
    (row,) = answer["labels"]
    assert (row["before"], row["after"], row["shift"], row["ks"]) == (4 / 6, 1, "large", 1)
    assert (answer["decisions"]["allow"]["block"], len(answer["flips"])) == (4, 4)
    assert "4 images would be decided differently" in modkit(*command).stdout


def test_what_model_6_said_is_translated_on_request_and_said_otherwise(make) -> None:
    old = [
        manifests.result_record(ref(n), [manifests.Label("Explicit Nudity", 90 - n)], model_version="6.1")
        for n in range(4)
    ]
    results = make.write(map(manifests.to_line, old))
    truth, policy = make.truth("Explicit", [True, True, False, False]), make.folder / "policy.json"
    truth.save(make.folder / "truth.parquet")
    tk.Policy({"Explicit": tk.Rule(block=89)}).save(policy)
    at = (results, "--min-confidence", 50)
    commands = [
        ["tune", *at, "--truth", make.folder / "truth.parquet"],
        ["policy", "apply", policy, *at],
        ["drift", results, *at],
        ["summary", *at],
    ]
    for command in commands:
        said, translated = modkit(*command, "--json"), modkit(*command, "--json", "--taxonomy", "7.0")
        assert said.stderr.count("answered by model 6.1") == 1
        assert "--taxonomy 7.0" in said.stderr
        assert (translated.returncode, translated.stderr) == (0, "")
        assert said.stdout != translated.stdout or command[0] == "drift"
    assert "taxonomy '8'" in one_sentence(modkit("summary", results, "--taxonomy", "8"))


def test_a_policy_is_chosen_for_all_labels_or_for_one(run) -> None:
    command = ("policy", "choose", run / "results.jsonl", run / "p.json", "--truth", run / "truth.csv")
    bands = ("--block", "precision>=0.99", "--review", "f1", "--review", "Gambling: recall>=0.9")
    answer = json.loads(modkit(*command, *bands, "--json").stdout)
    assert [(row["band"], row["objective"], row["threshold"]) for row in answer["thresholds"]] == [
        ("block", "precision>=0.99", 80.0),
        ("review", "recall>=0.9", 60.0),
    ]
    assert (answer["min_confidence"], tk.Policy.load(run / "p.json").rules) == (
        60,
        {"Gambling": tk.Rule(block=80.0, review=60.0)},
    )
    none = one_sentence(modkit(*command, "--block", "precision>=0.99", "--confidence-level", 0.95))
    assert "cannot be promised with probability 0.95" in none
    assert "name one for at least one label" in one_sentence(modkit(*command))


def test_a_table_for_a_spreadsheet_holds_no_formula(tmp_path) -> None:
    output.save_table(pd.DataFrame({"a": ["=1+1", "@x", "plain", None], "n": [-1, 0, 1, 2]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines()[1:] == ["'=1+1,-1", "'@x,0", "plain,1", ",2"]
    with pytest.raises(NotFound, match=r"\.csv or \.parquet"):
        output.save_table(pd.DataFrame(), tmp_path / "t.xls")


def test_report_is_one_file_that_needs_nothing_else(run) -> None:
    tk.Policy({"Gambling": tk.Rule(block=77.25)}).save(run / "policy.json")
    more = ["--truth", run / "truth.csv", "--policy", run / "policy.json"]
    done = modkit("report", run / "results.jsonl", run / "report.html", *more)
    assert done.returncode == 0, done.stderr
    page = (run / "report.html").read_text()
    assert "<script src" not in page
    assert "Next MinConfidence: 77.25" in page
    assert "Gambling" in page
    assert "INVALID_IMAGE_FORMAT" in page


def test_a_printed_threshold_flags_what_the_exact_one_does(make) -> None:
    exact = 50.308650970458984
    make.results({"Gambling": exact}, {"Gambling": 20}, {})
    make.truth("Gambling", [1, 0, 0])
    shown = modkit("tune", make.folder / "results.jsonl", "--truth", make.folder / "truth.csv").stdout
    printed = next(float(word) for word in shown.split() if word.startswith("50.3"))
    assert np.float32(exact) >= np.float32(printed)


def test_what_was_left_out_is_said_to_people_too(run) -> None:
    (run / "part.jsonl").write_text("".join(result_line(number, {"Gambling": 90}) for number in range(4)))
    runs, truth = (run / "results.jsonl", run / "part.jsonl"), ("--truth", run / "truth.csv", "--min-confidence", 50)
    compared = modkit("compare", *runs, *truth, "--label", "Gambling", "--threshold", 65).stdout
    assert "2 images are in one of the two runs only" in compared
    assert "2 judged images are not in both runs" in compared
    tuned = modkit("tune", runs[1], *truth, "--label", "Gambling", "--label", "Gambling").stdout
    assert "2 judged images have no result in the run, and do not count (Gambling)." in tuned
    assert tuned.count("3/4") == 1


def test_judged_images_that_are_mostly_not_in_the_run_are_said_once_for_all_labels(run) -> None:
    names = [ref(n) if n < 6 else f"s3://b/my+photos/{n}.jpg" for n in range(15)]
    judged = [f"{name},{label},{n % 2}" for n, name in enumerate(names) for label in ("Gambling", "Alcohol")]
    (run / "more.csv").write_text("\n".join(["source_ref,label,present", *judged]))
    said = modkit("tune", run / "results.jsonl", "--truth", run / "more.csv", "--min-confidence", 50)
    assert said.stderr.count("9 of 15 judged images have no result in the run") == 1
    assert "9 judged images have no result in the run, and do not count (Alcohol, Gambling)." in said.stdout


def test_a_policy_that_meets_another_model_is_said_once(run) -> None:
    floor = ("--min-confidence", 50)
    modkit("tune", run / "results.jsonl", "--truth", run / "truth.csv", "--save", run / "p.json", *floor)
    later = [result_line(number, {"Gambling": 90 - number}, model_version="7.1") for number in range(6)]
    (run / "later.jsonl").write_text("".join(later))
    assert modkit("policy", "apply", run / "p.json", run / "later.jsonl", *floor).stderr.count("of model 7.1") == 1
    assert "of model" not in modkit("policy", "apply", run / "p.json", run / "results.jsonl", *floor).stderr
