"""The main job as a user runs it, and what it leaves behind for other clients."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers import ROOT, started

import toolkit as tk
from toolkit.cli.demo import MARK, claim, save_workspace, work
from toolkit.errors import NotFound, Unreachable

AWS_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}


NOBODY = "http://127.0.0.1:9"
ELSEWHERE = {"AWS_PROFILE": "not-there", "AWS_REGION": "moon", "AWS_ENDPOINT_URL": NOBODY, "http_proxy": NOBODY}
"""What the demo must not heed: it talks to a service of its own."""


def demo(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "toolkit", "demo", "--dir", str(folder), "--no-app", "--json"]
    environment = os.environ | ELSEWHERE
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("demo") / "work"


@pytest.fixture(scope="module")
def answer(folder: Path) -> dict[str, Any]:
    return demo(folder)


def test_both_jobs_succeed_and_their_failures_are_named(answer, folder: Path) -> None:
    assert [(job["model"], job["status"]) for job in answer["jobs"]] == [
        ("base", "SUCCEEDED"),
        ("adapter", "SUCCEEDED"),
    ]
    workspace = tk.Workspace.load(folder)
    for job in answer["jobs"]:
        results = workspace.results(job["model"])
        assert (results.n_images, len(results.errors)) == (job["images"], job["errors"])
        failed = set(results.errors["source_ref"])
        assert failed == {f"s3://modkit-demo/bad/{path.name}" for path in (folder / "bad").iterdir()}
        assert not failed & set(results.images["source_ref"])
        assert results.errors[["code", "message"]].ne("").all(axis=None)


def test_the_adapter_finds_gambling_and_the_base_model_knows_only_explicit(answer, folder: Path) -> None:
    workspace = tk.Workspace.load(folder)
    assert answer["labels"]["Gambling"]["average_precision"] >= 0.9
    assert set(workspace.results("base").label_names()) <= {"Explicit"}
    assert {"Gambling", "Violence", "Alcohol"} <= set(workspace.results("adapter").label_names())
    assert workspace.results("base").project_versions == []
    assert len(workspace.results("adapter").project_versions) == 1


def test_every_threshold_keeps_its_objective_or_says_why_there_is_none(answer) -> None:
    for label in answer["labels"].values():
        if label["threshold"] is None:
            assert label["precision"] is None
            assert "judged images" in label["reason"]
        else:
            assert label["precision"] >= 0.9
            assert label["precision_low"] <= label["precision"] <= label["precision_high"]


def test_its_files_can_be_read(answer, folder: Path) -> None:
    labels = pd.read_parquet(answer["files"]["labels"])
    assert set(labels["model"]) == {"base", "adapter"}
    assert labels["confidence"].between(5, 100).all()
    policy = tk.Policy.load(answer["files"]["policy"])
    assert policy.rules["Gambling"].block == answer["labels"]["Gambling"]["threshold"]
    assert "Plotly" in Path(answer["files"]["report"]).read_text(encoding="utf-8")


def test_the_ten_lines_of_the_readme_run_as_written(answer, folder: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = readme.partition("```python\n")[2].partition("```")[0]
    code = lines.replace('"modkit-demo"', repr(str(folder)))
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert str(answer["labels"]["Gambling"]["threshold"]) in done.stdout
    assert (folder / "tradeoff.html").stat().st_size > 0


def test_every_command_of_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    helped = subprocess.run([sys.executable, "-m", "toolkit", "--help"], capture_output=True, text=True, check=True)
    commands = set(re.findall(r"modkit ([a-z]+)", readme))
    assert commands >= {"demo", "serve", "manifest", "start", "jobs", "fetch", "summary", "tune", "report", "app"}
    assert all(command in helped.stdout for command in commands)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "toolkit", "serve", "--dir", str(folder), "--port", "0", "--json"]
    with started(command) as process:
        yield json.loads(process.stdout.readline())["endpoint"]
        process.terminate()
        process.wait(timeout=10)


def test_a_second_time_works_and_the_aws_command_line_lists_all_jobs(answer, folder: Path) -> None:
    again = demo(folder)
    with serving(folder) as endpoint:
        aws = [str(Path(sys.executable).with_name("aws")), "--endpoint-url", endpoint, "rekognition"]
        listed = subprocess.run(
            [*aws, "list-media-analysis-jobs", "--output", "json"],
            env=AWS_ENVIRONMENT, capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        jobs = json.loads(listed.stdout)["MediaAnalysisJobs"]
    assert [job["JobId"] for job in jobs][::-1] == [job["job_id"] for run in (answer, again) for job in run["jobs"]]
    assert {job["Status"] for job in jobs} == {"SUCCEEDED"}


@pytest.mark.parametrize("name", [".gitignore", "truth.csv", "policy.json", "service.sqlite"])
def test_a_folder_with_something_else_in_it_is_refused_before_anything_is_touched(tmp_path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    command = [sys.executable, "-m", "toolkit", "demo", "--dir", str(tmp_path), "--no-app"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"{tmp_path}: there is something else in it; name a new or empty folder, or one of an earlier demo.\n"
    )
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "mine"}


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"..gitignore.part": b"# ma"},
        {".gitignore": MARK + b"*\n"},
        {".gitignore": MARK + b"*\n", "service.log": b"", "truth.csv": b""},
        {".gitignore": b"*\n"},
        {".gitignore": b"*\n", "service.log": b""},
        {".gitignore": b"*\n", "service.sqlite": b"", "..gitignore.part": b""},
    ],
)
def test_the_folder_of_a_demo_that_was_interrupted_at_any_moment_is_accepted(tmp_path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    claim(tmp_path)
    claim(tmp_path)
    assert (tmp_path / ".gitignore").read_bytes() == b"# made by modkit demo\n*\n"


def test_what_cannot_be_a_demos_folder_is_said_in_one_sentence(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotFound, match="name a new or empty folder"):
        claim(tmp_path / "file")
    (tmp_path / "images").touch()
    with pytest.raises(NotFound, match=r"writing .*/images: File exists; check the path"):
        save_workspace(tmp_path, ROOT / "sample_data", {})


def test_a_service_that_is_gone_is_not_to_be_started_by_hand(tmp_path) -> None:
    with pytest.raises(Unreachable, match=r"its last words are in .*service\.log\); run `modkit demo` again\.$"):
        work(tmp_path, ROOT / "sample_data", tk.connect("http://127.0.0.1:9"))


def test_samples_that_cannot_be_built_are_said_in_one_sentence(tmp_path) -> None:
    command = [sys.executable, str(ROOT / "sample_data" / "build.py"), "--source", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{tmp_path / 'nowhere'}/")
    assert done.stderr.endswith(": No such file or directory; name png/ of the unpacked openclipart-png as --source.\n")
    assert done.stderr.count("\n") == 1
