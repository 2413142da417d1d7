"""`detect` over HTTP: what it leaves, what it refuses, and that no image is lost or doubled."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from detect_door import broken_off, own_bucket
from helpers import ROOT, picture, unreliable

import toolkit as tk
from toolkit import manifests, storage
from toolkit.errors import InvalidArgument, NotFound, RequestRefused, Unreachable


def _upload(photos: Path, bucket: str, session: storage.Session) -> list[str]:
    return storage.upload(photos, f"s3://{bucket}/in/", session=session)


def test_detect_leaves_what_a_job_leaves(endpoint: str, bucket: str, photos) -> None:
    session = tk.connect(endpoint)
    uris = _upload(photos, bucket, session)
    run = tk.detect(uris, f"s3://{bucket}/run/", min_confidence=0, session=session, journal=photos.parent / "j")
    (job,) = tk.MediaAnalysis(session).analyze(uris, f"s3://{bucket}/jobs/", min_confidence=0).wait().jobs
    mine, theirs = run.results(), job.results()
    assert mine.images["source_ref"].tolist() == theirs.images["source_ref"].tolist()
    assert mine.labels["confidence"].tolist() == pytest.approx(theirs.labels["confidence"].tolist(), abs=1.0)
    assert mine.errors[["line", "source_ref", "code"]].equals(theirs.errors[["line", "source_ref", "code"]])
    assert (run.summary().total, run.summary().valid) == (job.summary().total, job.summary().valid) == (13, 12)
    assert (mine.min_confidence, mine.floor_source, run.requests) == (0, "job", 13)
    assert tk.read_results(run).n_images == 12
    assert not list((photos.parent / "j").glob("detect.journal*"))


def test_a_folder_is_sent_along_and_a_second_run_asks_for_nothing(endpoint: str, photos, tmp_path) -> None:
    session = tk.connect(endpoint)
    run = tk.detect(photos, tmp_path / "run", session=session)
    assert (run.images, run.failed, run.requests, run.unsettled) == (13, 1, 13, 0)
    assert repr(run).endswith("13 images, 1 not analyzed; MinConfidence 50, base model)")
    assert tk.detect(photos, tmp_path / "run", session=session).requests == 0
    with pytest.raises(InvalidArgument, match=r"holds results of other images or settings; name another output"):
        tk.detect(photos, tmp_path / "run", min_confidence=1, session=session)
    (photos / "00.jpg").write_bytes(picture(99))
    with pytest.raises(InvalidArgument, match="name another output"):
        tk.detect(photos, tmp_path / "run", session=session)


def test_results_of_something_else_are_not_overwritten(endpoint: str, photos, tmp_path) -> None:
    (tmp_path / "results.jsonl").write_text("mine\n")
    with pytest.raises(InvalidArgument, match="name another output"):
        tk.detect(photos, tmp_path, session=tk.connect(endpoint))
    assert (tmp_path / "results.jsonl").read_text() == "mine\n"


def test_what_the_limits_forbid_and_broken_lines_are_errors_without_a_request(endpoint, bucket, tmp_path) -> None:
    session = tk.connect(endpoint)
    storage.write(f"s3://{bucket}/1.jpg", picture(1), session=session)
    (tmp_path / "m.jsonl").write_text(f'{{"source-ref": "s3://{bucket}/1.jpg"}}\n{{}}\n')
    run = tk.detect(tmp_path / "m.jsonl", tmp_path / "run", session=session)
    assert run.requests == 1
    assert run.results().errors[["line", "code"]].values.tolist() == [[2, "INVALID_JSON_LINE"]]
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "1.jpg").write_bytes(picture(1).ljust(5 * 1024 * 1024 + 1, b"\0"))
    run = tk.detect(tmp_path / "large", tmp_path / "run2", session=session)
    assert (run.requests, run.results().errors["code"].tolist()) == (0, ["IMAGE_TOO_LARGE"])


def test_on_a_bad_day_no_image_is_lost_and_none_is_doubled(photos, tmp_path) -> None:
    with unreliable(tmp_path / "service", share=0.3) as (endpoint, door):
        run = tk.detect(photos, tmp_path / "run", tps=100, session=tk.connect(endpoint), progress=False)
        assert (run.images, run.failed, run.unsettled) == (13, 1, 0)
        assert set(door.asked.values()) == {1}
        assert run.requests == len(door.times) > 13
    assert run.results().images["source_ref"].tolist() == [str(photos / f"{n:02}.jpg") for n in range(12)]


def test_what_never_was_answered_is_an_error_and_asked_about_again(photos, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["toolkit.detect.ask"], "ATTEMPTS", 2)
    with unreliable(tmp_path / "service", share=1.0) as (endpoint, door):
        run = tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint))
        assert (run.failed, run.unsettled) == (13, 13)
        assert run.results().n_images == 0
        door._share = 0.0
        broken_off(door, 0, photos, tmp_path / "run", session=tk.connect(endpoint))
        run = tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint))
        assert (run.failed, run.unsettled) == (1, 0)
        assert run.results().n_images == 12


def test_what_every_image_would_meet_ends_the_run_in_one_sentence(endpoint, bucket, photos, tmp_path) -> None:
    arn = "arn:aws:rekognition:us-east-1:123456789012:project/none/version/v1/1234567890123"
    with pytest.raises(RequestRefused, match=r"ResourceNotFoundException.*; check the adapter's ARN"):
        tk.detect(photos, tmp_path / "run", project_version=arn, session=tk.connect(endpoint))
    with pytest.raises(InvalidArgument, match=r"ProjectVersion.*; check the adapter's ARN"):
        tk.detect(photos, tmp_path / "run2", project_version="mine", session=tk.connect(endpoint))
    with pytest.raises(InvalidArgument, match="tps is 0;"):
        tk.detect(photos, tmp_path / "run2", tps=0, session=tk.connect(endpoint))
    with pytest.raises(NotFound, match="no JPEG or PNG"):
        tk.detect(tmp_path / "run", tmp_path / "run2", session=tk.connect(endpoint))


def test_an_endpoint_that_is_gone_ends_the_run_and_keeps_what_was_answered(photos, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["toolkit.detect.ask"], "UNHEARD", 2)
    session = tk.connect("http://127.0.0.1:9")
    with pytest.raises(Unreachable, match="does not answer"):
        tk.detect(photos, tmp_path / "run", session=session)
    assert (tmp_path / "run" / "detect.journal").exists()
    assert not (tmp_path / "run" / "results.jsonl").exists()


def test_two_runs_do_not_write_one_journal(endpoint, photos, tmp_path) -> None:
    from toolkit.detect.journal import Journal

    with (
        Journal(tmp_path / "run" / "detect.journal", "other", ".", []),
        pytest.raises(InvalidArgument, match="another run is writing there"),
    ):
        tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint))


def test_an_image_that_stands_there_twice_is_asked_about_twice(local, tmp_path) -> None:
    endpoint, door = local
    session = own_bucket(endpoint, "doubles")
    for number in range(2):
        storage.write(f"s3://doubles/{number}.jpg", picture(number), session=session)
    refs = [f"s3://doubles/{number}.jpg" for number in (0, 1, 0, 0)]
    broken_off(door, 3, refs, tmp_path / "run", session=session)
    run = tk.detect(refs, tmp_path / "run", session=session, progress=False)
    assert (run.requests, run.results().images["source_ref"].tolist()) == (1, refs)


@pytest.mark.parametrize("floor", [True, "5", np.bool_(True)])
def test_a_floor_that_is_no_number_is_said_in_one_sentence(floor, photos, tmp_path) -> None:
    with pytest.raises(InvalidArgument, match=r"in_?[cC]onfidence is .*; give a number from 0 to 100\.$"):
        tk.detect(photos, tmp_path / "run", min_confidence=floor, session=tk.connect("http://127.0.0.1:9"))


@pytest.mark.parametrize("setting", ["concurrency", "workers"])
def test_half_a_worker_is_refused_in_one_sentence(setting: str, photos, tmp_path) -> None:
    with pytest.raises(InvalidArgument, match=f"{setting} is 2.5; give a whole number, 1 or more"):
        tk.detect(photos, tmp_path / "run", session=tk.connect("http://127.0.0.1:9"), **{setting: 2.5})


def test_the_command_writes_a_workspace_and_says_what_failed(endpoint, photos, tmp_path) -> None:
    command = [sys.executable, "-m", "toolkit", "detect", str(photos), str(tmp_path / "run")]
    command += ["--endpoint", endpoint, "--min-confidence", "5", "--save", str(tmp_path / "work"), "--json"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "1 of 13 lines was not analyzed, line 13 (INVALID_IMAGE_FORMAT" in ended.stderr
    document = json.loads(ended.stdout)
    assert (document["images"], document["errors"], document["status"]) == (12, 1, "SUCCEEDED")
    assert tk.Workspace.load(tmp_path / "work").results("run").min_confidence == 5
    assert (tmp_path / "run" / manifests.SUMMARY_NAME).is_file()
