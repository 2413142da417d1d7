"""What goes wrong is said in one sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_process import DEAD, modkit, one_sentence

import toolkit as tk


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


def test_an_empty_folder_name_is_said_in_one_sentence() -> None:
    for command in (("demo", "--dir", ""), ("fetch", "0" * 64, ""), ("serve", "--dir", " ")):
        assert "the folder's name is empty" in one_sentence(modkit(*command))
    assert "no job id given" in one_sentence(modkit("fetch", "", "folder", "--endpoint", DEAD))
