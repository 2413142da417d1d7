"""The command line, as a process: what it prints, where, and how it ends."""

import json
import subprocess
import sys

import pytest
from helpers import ref, result_line

import toolkit as tk
from toolkit import manifests

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


def test_tune_says_what_the_library_says_and_saves_a_policy(run) -> None:
    command = ("tune", run / "results.jsonl", "--truth", run / "truth.csv", "--min-confidence", 50)
    answer = json.loads(modkit(*command, "--save", run / "policy.json", "--json").stdout)
    results = tk.read_results(run / "results.jsonl", min_confidence=50)
    choice = tk.choose_threshold(
        tk.threshold_curve(results, tk.read_truth(run / "truth.csv"), "Gambling"), "precision>=0.9"
    )
    assert answer["labels"]["Gambling"]["threshold"] == choice.threshold == 80
    assert tk.Policy.load(run / "policy.json").rules == {"Gambling": tk.Rule(block=80.0)}


def test_report_is_one_file_that_needs_nothing_else(run) -> None:
    done = modkit("report", run / "results.jsonl", run / "report.html", "--truth", run / "truth.csv")
    assert done.returncode == 0, done.stderr
    page = (run / "report.html").read_text()
    assert "<script src" not in page
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


def test_one_unreadable_line_costs_only_that_line(run) -> None:
    with (run / "results.jsonl").open("a") as file:
        file.write(result_line(9, {})[:30] + "\n")
    answer = json.loads(modkit("summary", run / "results.jsonl", "--json").stdout)
    assert answer["images"] == 6
    assert [error["line"] for error in answer["errors"]] == [7, 7]


@pytest.mark.parametrize("label", ["Violence", "Gamblin"])
def test_a_label_nobody_judged_is_said_in_one_sentence(run, label: str) -> None:
    done = modkit("tune", run / "results.jsonl", "--truth", run / "truth.csv", "--label", label)
    assert "these labels were judged: Gambling" in one_sentence(done)


def test_a_bad_objective_lists_the_good_ones(run) -> None:
    done = modkit("tune", run / "results.jsonl", "--truth", run / "truth.csv", "--objective", "best")
    assert "cost fp=1 fn=10" in one_sentence(done)
