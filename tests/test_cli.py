"""The command line, as a process: what it prints, where, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import picture, ref, result_line, started

import toolkit as tk
from toolkit import manifests, storage
from toolkit.cli import output
from toolkit.cli.studio import open_studio
from toolkit.errors import NotFound
from toolkit.studio import launch

DEAD = "http://127.0.0.1:9"


def modkit(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "toolkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What went wrong, once it is sure that it was said as the promise has it."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    sentence = done.stderr.strip()
    assert sentence[-1] in ".?"
    assert "\n" not in sentence
    return sentence


@pytest.fixture
def run(make):
    """A run of six images, half of which show gambling, with one that failed."""
    make.summary(7, manifests.LineError(7, "INVALID_IMAGE_FORMAT", "not a JPEG", ref(6)))
    scores = [{"Gambling": 90}, {"Gambling": 80}, {"Gambling": 70}, {"Gambling": 60}, {}, {}]
    make.results(*scores)
    make.truth("Gambling", [1, 1, 0, 1, 0, 0])
    return make.folder


def test_summary_counts_and_names_what_failed(run) -> None:
    answer = json.loads(modkit("summary", run / "results.jsonl", "--json").stdout)
    assert (answer["images"], answer["flagged"], answer["floor_source"]) == (6, 4, "smallest confidence seen")
    assert answer["errors"][0]["code"] == "INVALID_IMAGE_FORMAT"
    shown = modkit("summary", run / "results.jsonl").stdout
    assert "Gambling" in shown
    assert "INVALID_IMAGE_FORMAT" in shown


def test_the_floor_of_a_saved_run_is_known_to_its_workspace(run, make) -> None:
    saved = make.folder / "saved"
    (saved / "run").mkdir(parents=True)
    make.write([result_line(0, {"Gambling": 90})], "saved/run/results.jsonl")
    tk.Workspace(saved, {"run": tk.Run("run/results.jsonl", 5.0, "a-job")}).save()
    answer = json.loads(modkit("summary", saved / "run/results.jsonl", "--json").stdout)
    assert (answer["min_confidence"], answer["floor_source"]) == (5, "job")
    (saved / "workspace.json").write_text("{}")
    answer = json.loads(modkit("summary", saved / "run/results.jsonl", "--json").stdout)
    assert (answer["min_confidence"], answer["floor_source"]) == (90, "smallest confidence seen")


def test_the_floor_of_several_runs_is_what_all_of_them_tell(make, tmp_path) -> None:
    runs = {part: tmp_path / "runs" / part for part in ("one", "two")}
    for number, folder in enumerate(runs.values()):
        folder.mkdir(parents=True)
        lines = [
            result_line(n, {"Gambling": 70 + 25 * number + n / 1000}) for n in range(number * 500, number * 500 + 500)
        ]
        make.write(lines, "x.jsonl").rename(folder / "results.jsonl")
        (folder / "detect.json").write_text('{"version": 1, "min_confidence": 20.0}')
    done = modkit("summary", tmp_path / "runs", "--json")
    summary = json.loads(done.stdout)
    assert (summary["min_confidence"], summary["floor_source"]) == (20, "job")
    assert "different MinConfidence" not in done.stderr  # though the second seems to have another floor
    contradicted = modkit("summary", tmp_path / "runs", "--min-confidence", 30)
    assert "its MinConfidence was 20, as its workspace or detect.json tells, and not 30" in one_sentence(contradicted)
    (runs["two"] / "detect.json").write_text('{"version": 1, "min_confidence": 80.0}')
    assert "one says nothing below 80 and another goes down to 20" in one_sentence(modkit("summary", tmp_path / "runs"))
    (runs["one"] / "detect.json").unlink()
    apart = modkit("summary", tmp_path / "runs")
    assert apart.returncode == 2
    assert "nothing below 80 and another goes down to 70" in apart.stderr
    (runs["two"] / "detect.json").write_text('{"version": 1, "min_confidence": -5}')
    summary = json.loads(modkit("summary", tmp_path / "runs", "--json").stdout)
    assert (summary["min_confidence"], summary["floor_source"]) == (70, "smallest confidence seen")


def test_a_floor_that_was_told_of_another_run_silences_no_warning(make, tmp_path) -> None:
    for name, low in (("one", 50), ("two", 20)):
        (tmp_path / "runs" / name).mkdir(parents=True)
        lines = [result_line(n + low, {"Gambling": low + n / 20}) for n in range(800)]
        make.write(lines, "x.jsonl").rename(tmp_path / "runs" / name / "results.jsonl")
        (tmp_path / "runs" / name / "detect.json").write_text('{"version": 1, "min_confidence": 50}')
    done = modkit("summary", tmp_path / "runs", "--json")
    assert json.loads(done.stdout)["floor_source"] == "smallest confidence seen"
    assert "if their jobs had different MinConfidence, read them apart" in done.stderr
    runs = (tmp_path / "runs", tmp_path / "runs")
    assert json.loads(modkit("drift", *runs, "--min-confidence", 15, "--json").stdout)["min_confidence"] == 15


def test_a_floor_counts_as_the_float32_that_confidences_are(make) -> None:
    make.write([result_line(0, {"Gambling": 55.3})])
    (make.folder / "detect.json").write_text('{"version": 1, "min_confidence": 55.3}')
    summary = json.loads(modkit("summary", make.folder / "results.jsonl", "--json").stdout)
    assert (summary["min_confidence"], summary["floor_source"]) == (55.3, "job")


def test_of_two_runs_the_floor_that_is_given_counts_for_the_one_that_nobody_knows(make) -> None:
    for name, lines in (("known", [result_line(0, {"Gambling": 20})]), ("silent", [result_line(0, {})])):
        (make.folder / name).mkdir()
        make.write(lines, f"{name}/results.jsonl")
    (make.folder / "known" / "detect.json").write_text('{"version": 1, "min_confidence": 5}')
    runs = (make.folder / "known", make.folder / "silent")
    assert "nobody said what its MinConfidence was" in one_sentence(modkit("drift", *runs))
    answer = json.loads(modkit("drift", *runs, "--min-confidence", 50, "--json").stdout)
    assert answer["min_confidence"] == 50
    (make.folder / "silent" / "detect.json").write_text('{"version": 1, "min_confidence": 10}')
    both = one_sentence(modkit("drift", *runs, "--min-confidence", 50))
    assert "the MinConfidence of both runs is known (5 and 10), and it is not 50" in both


def test_a_saved_run_has_one_floor_however_it_is_named(run) -> None:
    tk.Workspace(run, {"base": tk.Run("results.jsonl", 20.0)}, "truth.csv").save()
    for name in (run / "results.jsonl", run, f"{run}/*.jsonl"):
        assert json.loads(modkit("summary", name, "--json").stdout)["min_confidence"] == 20


def test_summary_says_that_failures_are_unknown_where_no_summary_is(run) -> None:
    assert json.loads(modkit("summary", run / "results.jsonl", "--json").stdout)["errors_known"] is True
    (run / "manifest-summary.json").unlink()
    assert json.loads(modkit("summary", run / "results.jsonl", "--json").stdout)["errors_known"] is False
    assert "failures unknown: no manifest-summary.json" in " ".join(
        modkit("summary", run / "results.jsonl").stdout.split()
    )


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


def test_an_endpoint_that_is_down_is_said_in_one_sentence() -> None:
    for command in (
        ("jobs",),
        ("start", "s3://bucket/m.jsonl", "s3://bucket/out/"),
        ("manifest", "s3://bucket/images/", "s3://bucket/m.jsonl"),
        ("summary", "s3://bucket/results.jsonl"),
    ):
        assert "does not answer; start it" in one_sentence(modkit(*command, "--endpoint", DEAD))


def test_a_file_that_is_not_there_is_said_in_one_sentence(tmp_path) -> None:
    assert "no such file" in one_sentence(modkit("summary", tmp_path / "results.jsonl"))


def test_an_unreadable_manifest_is_said_in_one_sentence(tmp_path) -> None:
    (tmp_path / "results.jsonl").write_text("nonsense\n")
    assert "line 1: not a JSON object" in one_sentence(modkit("summary", tmp_path / "results.jsonl"))


@pytest.mark.parametrize("command", ["summary", "tune", "report"])
def test_one_unreadable_line_costs_only_that_line_and_is_said_last(run, command: str) -> None:
    manifest = run / "results.jsonl"
    manifest.write_text(manifest.read_text() + '{"source-ref": "s3://b')
    more = {"summary": ["--json"], "tune": ["--truth", run / "truth.csv", "--json"], "report": [run / "report.html"]}
    done = modkit(command, manifest, *more[command])
    assert done.returncode == 2
    assert done.stderr.startswith(f"{manifest}: line 7 cannot be read")
    assert done.stderr.count("\n") == 1
    if command == "summary":
        answer = json.loads(done.stdout)
        assert answer["images"] == 6
        assert [error["code"] for error in answer["errors"]].count("UNREADABLE_LINE") == 1
    if command == "tune":
        assert json.loads(done.stdout)["labels"]["Gambling"]["positives"] == 3
    if command == "report":
        assert "UNREADABLE_LINE" in (run / "report.html").read_text()


def test_a_printed_threshold_flags_what_the_exact_one_does(make) -> None:
    exact = 50.308650970458984
    make.results({"Gambling": exact}, {"Gambling": 20}, {})
    make.truth("Gambling", [1, 0, 0])
    shown = modkit("tune", make.folder / "results.jsonl", "--truth", make.folder / "truth.csv").stdout
    printed = next(float(word) for word in shown.split() if word.startswith("50.3"))
    assert np.float32(exact) >= np.float32(printed)


@pytest.mark.parametrize("label", ["Violence", "Gamblin"])
def test_a_label_nobody_judged_is_said_in_one_sentence(run, label: str) -> None:
    done = modkit("tune", run / "results.jsonl", "--truth", run / "truth.csv", "--label", label)
    assert "these labels were judged: Gambling" in one_sentence(done)


@pytest.mark.parametrize("name", ["empty.jsonl", "header.csv"])
def test_samples_without_a_judgement_are_said_in_one_sentence(run, name: str) -> None:
    (run / "empty.jsonl").touch()
    (run / "header.csv").write_text("source_ref,label,present\n")
    for command in (("tune", run / "results.jsonl"), ("report", run / "results.jsonl", run / "report.html")):
        assert "no judgement at all" in one_sentence(modkit(*command, "--truth", run / name))
    assert not (run / "report.html").exists()


def test_numbers_that_cannot_be_are_said_in_one_sentence(run) -> None:
    judged = ("--truth", run / "truth.csv")
    for objective in ("cost fp=inf fn=1", "cost fp=1e400 fn=1"):
        for command in (("tune", run / "results.jsonl"), ("report", run / "results.jsonl", run / "report.html")):
            assert "costs are finite" in one_sentence(modkit(*command, *judged, "--objective", objective))
    command = ("sample", run / "results.jsonl", run / "todo.csv", "--label", "Gambling", "--seed", -1)
    assert "seed is -1" in one_sentence(modkit(*command))


@pytest.mark.parametrize("arguments", [("--endpoint", "http://[::1"), ("--region", "bad region")])
def test_what_is_no_endpoint_or_region_is_said_in_one_sentence(arguments) -> None:
    for command in (("jobs",), ("summary", "s3://bucket/results.jsonl"), ("adapters", "list")):
        assert "; " in one_sentence(modkit(*command, "--endpoint", DEAD, *arguments))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_the_output_is_said_and_a_closed_pipe_ends_quietly(run) -> None:
    for command in (("summary", run / "results.jsonl"), ("summary", run / "results.jsonl", "--json"), ("--help",)):
        words = [sys.executable, "-m", "toolkit", *map(str, command)]
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert done.stderr.startswith("standard output: No space left on device; ")
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        os.close(writing)
        assert done.stderr == ""


def test_a_profile_and_a_region_can_be_named_wherever_s3_is_read(run) -> None:
    options = ("--profile", "no-such-profile", "--region", "eu-west-1")
    truth = ("--truth", "t.csv", "--label", "Gambling")
    for command in (
        ("summary", "s3://b/r"),
        ("tune", "s3://b/r", *truth),
        ("sample", "s3://b/r", "todo.csv", "--label", "Gambling"),
        ("compare", "s3://b/r", "s3://b/r", *truth, "--threshold", 50),
        ("report", "s3://b/r", "r.html"),
    ):
        assert "no-such-profile" in one_sentence(modkit(*command, *options))
    tk.Policy({"Gambling": tk.Rule(block=80)}).save(run / "p.json")
    assert "no-such-profile" in one_sentence(modkit("policy", "apply", run / "p.json", "s3://b/r", *options))


def test_a_bad_objective_lists_the_good_ones(run) -> None:
    done = modkit("tune", run / "results.jsonl", "--truth", run / "truth.csv", "--objective", "best")
    assert "cost fp=1 fn=10" in one_sentence(done)


def test_the_whole_way_from_a_folder_to_a_workspace(endpoint: str, bucket: str, tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(picture(number))
    at = ("--endpoint", endpoint, "--json")
    made = json.loads(modkit("manifest", tmp_path / "photos", f"s3://{bucket}/in/m.jsonl", *at).stdout)
    assert made == {"manifests": [f"s3://{bucket}/in/m.jsonl"]}
    settings = ("--min-confidence", 0, "--job-name", "mine", "--save", tmp_path / "work")
    job = json.loads(modkit("start", *made["manifests"], f"s3://{bucket}/out/", *settings, *at).stdout)
    assert (job["status"], job["min_confidence"], job["name"]) == ("SUCCEEDED", 0, "mine")
    results = tk.Workspace.load(tmp_path / "work").results("run")
    assert (results.n_images, results.min_confidence) == (3, 0)
    listed = json.loads(modkit("jobs", "--limit", 1, *at).stdout)["jobs"]
    assert [one["job_id"] for one in listed] == [job["job_id"]]
    assert job["job_id"] in modkit("jobs", "--endpoint", endpoint).stdout
    assert modkit("fetch", job["job_id"], tmp_path / "again", "--endpoint", endpoint).returncode == 0
    assert tk.Workspace.load(tmp_path / "again").runs == tk.Workspace.load(tmp_path / "work").runs


def test_a_wrong_bucket_and_a_missing_manifest_are_said_in_one_sentence(endpoint: str, bucket: str) -> None:
    at = ("--endpoint", endpoint)
    nowhere = one_sentence(modkit("start", f"s3://{bucket}/none.jsonl", f"s3://{bucket}/out/", *at))
    assert "write the manifest first" in nowhere
    assert "check the name" in one_sentence(modkit("manifest", f"s3://no-such-{bucket}/", f"s3://{bucket}/m", *at))
    assert "check the name" in one_sentence(modkit("summary", f"s3://no-such-{bucket}/results.jsonl", *at))


def test_lines_that_were_not_analyzed_are_said_when_all_else_is_saved(endpoint: str, bucket: str, tmp_path) -> None:
    session = tk.connect(endpoint)
    storage.write(f"s3://{bucket}/there.jpg", picture(1), session=session)
    refs = [f"s3://{bucket}/there.jpg", f"s3://{bucket}/gone.jpg"]
    lines = [manifests.to_line({"source-ref": uri}) for uri in refs]
    storage.write(f"s3://{bucket}/m.jsonl", "".join([*lines, "nonsense\n"]).encode(), session=session)
    at = ("--endpoint", endpoint, "--json")
    done = modkit("start", f"s3://{bucket}/m.jsonl", f"s3://{bucket}/out/", "--save", tmp_path / "work", *at)
    job = json.loads(done.stdout)
    file = tmp_path / "work" / "run" / "results.jsonl"
    assert (job["status"], job["images"], job["errors"], job["file"]) == ("SUCCEEDED", 1, 2, str(file))
    results = tk.Workspace.load(tmp_path / "work").results("run")
    assert results.n_images == 1
    assert results.errors[["line", "source_ref"]].to_numpy().tolist()[0] == [2, refs[1]]
    again = modkit("fetch", job["job_id"], tmp_path / "work", *at)
    for one in (done, again):
        last = one.stderr.splitlines()[-1]
        assert last.startswith(
            f"job {job['job_id']}: 2 of 3 lines were not analyzed, first line 2 (INVALID_S3_OBJECT: "
        )
        assert last.endswith(f"what was is in {tmp_path / 'work'}, `modkit summary {file}` names the rest.")
        assert one.returncode == 2
    assert json.loads(again.stdout) == job


def test_the_id_of_a_job_is_said_at_once_and_not_lost_when_its_results_cannot_be_saved(
    endpoint: str, bucket: str, tmp_path
) -> None:
    session = tk.connect(endpoint)
    storage.write(f"s3://{bucket}/1.jpg", picture(1), session=session)
    tk.write_manifest([f"s3://{bucket}/1.jpg"], f"s3://{bucket}/m.jsonl", session=session)
    (tmp_path / "file").touch()
    at = ("--endpoint", endpoint)
    done = modkit(
        "start", f"s3://{bucket}/m.jsonl", f"s3://{bucket}/out/", "--save", tmp_path / "file" / "x", *at, "--json"
    )
    job_id = json.loads(done.stdout)["job_id"]
    said = done.stderr.splitlines()
    later = f"`modkit fetch {job_id} {tmp_path / 'file' / 'x'} --endpoint {endpoint}`"
    assert said[0] == f"job {job_id} has started; {later} gets its results later."
    assert "check the path" in said[-1]
    assert done.returncode == 2
    fetched = modkit("fetch", job_id, tmp_path / "elsewhere", *at)
    assert fetched.returncode == 0
    assert str(tmp_path / "elsewhere" / "run" / "results.jsonl") in fetched.stdout


def test_the_id_of_a_job_is_not_lost_when_waiting_is_interrupted(endpoint: str, bucket: str, tmp_path) -> None:
    session = tk.connect(endpoint)
    storage.write(f"s3://{bucket}/1.jpg", picture(1), session=session)
    tk.write_manifest([f"s3://{bucket}/1.jpg"] * 500, f"s3://{bucket}/m.jsonl", session=session)
    words = ("start", f"s3://{bucket}/m.jsonl", f"s3://{bucket}/out/", "--save", str(tmp_path / "work"), "--json")
    command = [sys.executable, "-m", "toolkit", *words, "--endpoint", endpoint]
    with started(command, stderr=subprocess.PIPE) as process:
        said = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        answer, more = process.communicate(timeout=60)
    assert json.loads(answer)["job_id"] == said.split()[1]
    assert process.returncode == 130
    assert "Traceback" not in more
    tk.MediaAnalysis(session).job(said.split()[1]).wait(timeout=60, progress=False)


def test_an_empty_folder_name_is_said_in_one_sentence() -> None:
    for command in (("demo", "--dir", ""), ("fetch", "0" * 64, ""), ("serve", "--dir", " ")):
        assert "the folder's name is empty" in one_sentence(modkit(*command))
    assert "no job id given" in one_sentence(modkit("fetch", "", "folder", "--endpoint", DEAD))


def test_the_app_opens_on_a_workspace_and_says_where(run) -> None:
    (run / "workspace.json").write_text("{")
    assert "workspace.json" in one_sentence(modkit("app", "--dir", run))
    assert "not a folder" in one_sentence(modkit("app", "--dir", run / "results.jsonl"))
    tk.Workspace(run, {"run": tk.Run("results.jsonl", 50.0)}).save()
    command = [sys.executable, "-m", "toolkit", "app", "--dir", str(run), "--port", "0"]
    with started(command, stderr=subprocess.DEVNULL) as process:
        url = process.stdout.readline().split()[4]
        assert answers(url)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
    assert not answers(url)


def test_an_app_for_others_says_that_there_is_no_password(tmp_path) -> None:
    command = [sys.executable, "-m", "toolkit", "app", "--dir", str(tmp_path / "new"), "--port", "0", "--host"]
    with started([*command, "0.0.0.0"], stderr=subprocess.PIPE) as process:
        said = process.stdout.readline()
        warning = next(line for line in process.stderr if "password" in line)
        url = said.split()[4]
        assert url.startswith("http://127.0.0.1:")
        assert answers(url)
        assert f"http://{socket.gethostname()}:" in warning
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)


def test_the_app_is_where_it_was_the_last_time_unless_somebody_else_is_there(tmp_path, monkeypatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        usual = other.getsockname()[1]
        monkeypatch.setattr(launch, "PORT", usual)
        other.listen()
        with open_studio(tmp_path) as studio:
            assert studio.url != f"http://127.0.0.1:{usual}"
            assert studio.others == []
    with open_studio(tmp_path) as studio:
        assert studio.url == f"http://127.0.0.1:{usual}"
        assert answers(studio.url)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_app_ends_with_the_command_that_opened_it(run, number: signal.Signals) -> None:
    tk.Workspace(run, {"run": tk.Run("results.jsonl", 50.0)}).save()
    command = [sys.executable, "-m", "toolkit", "app", "--dir", str(run), "--port", "0"]
    with started(command, stderr=subprocess.DEVNULL) as process:
        url = process.stdout.readline().split()[4]
        assert answers(url)
        process.send_signal(number)
        process.wait(timeout=20)
    ends = time.monotonic() + 20
    while answers(url):
        assert time.monotonic() < ends, "the app outlived its command"
        time.sleep(0.1)


def test_a_program_under_test_hears_ctrl_c_even_where_pytest_does_not() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
        with started([sys.executable, "-c", code]) as process:
            assert process.communicate(timeout=20)[0] == "True\n"
    finally:
        signal.signal(signal.SIGINT, before)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as answer:
            return answer.read() == b"ok"
    except OSError:
        return False
