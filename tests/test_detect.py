"""`detect` over HTTP: what it leaves, how often it asks, and what is lost when things go wrong (nothing)."""

import concurrent.futures
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from botocore.stub import Stubber
from distributed import Client, LocalCluster
from helpers import ROOT, picture, started, unreliable
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from toolkit import manifests, storage
from toolkit.detect.quota import account_tps
from toolkit.detect.rate import Rate
from toolkit.errors import InvalidArgument, NotFound, RequestRefused, Unreachable


@pytest.fixture
def photos(tmp_path) -> Path:
    """Twelve pictures, all different, and one file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02}.jpg").write_bytes(picture(number) + bytes([number]))
    (folder / "bad.jpg").write_bytes(b"nonsense")
    return folder


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
        Journal(tmp_path / "run" / "detect.journal", "other"),
        pytest.raises(InvalidArgument, match="another run is writing there"),
    ):
        tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint))
    with pytest.raises(InvalidArgument, match="holds a run of other images or settings that has not ended"):
        tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint))


@pytest.mark.slow
def test_ten_kills_lose_nothing_and_no_answer_is_asked_for_twice(photos, tmp_path) -> None:
    for number in range(12, 150):
        (photos / f"{number:03}.jpg").write_bytes(picture(number) + bytes([number]))
    threads = 2
    with unreliable(tmp_path / "service", share=0.1) as (endpoint, door):
        command = [
            sys.executable, "-m", "toolkit", "detect", str(photos), str(tmp_path / "run"),
            "--endpoint", endpoint, "--tps", "25", "--concurrency", str(threads), "--json",
        ]  # fmt: skip
        for kill in range(10):
            with started(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
                begun = len(door.times)
                while len(door.times) < begun + 2 + kill % 5 and process.poll() is None:
                    time.sleep(0.01)
                assert process.poll() is None, "it ended before it could be killed"
                os.kill(process.pid, signal.SIGKILL)
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        document = json.loads(ended.stdout)
        assert (document["images"], document["errors"], ended.returncode) == (150, 1, 2)
    refs = tk.read_results(tmp_path / "run").images["source_ref"].tolist()
    assert refs == sorted(set(refs))
    assert len(refs) == 150
    # What was in flight when a process died brought no answer, and has to be asked about again; nothing else is.
    assert len(door.asked) == 151
    assert sum(door.asked.values()) - 151 <= 10 * threads


def test_ctrl_c_keeps_what_was_answered_and_says_how_to_go_on(photos, tmp_path) -> None:
    with unreliable(tmp_path / "service", share=0.0) as (endpoint, door):
        command = [sys.executable, "-m", "toolkit", "detect", str(photos), str(tmp_path / "run")]
        command += ["--endpoint", endpoint, "--tps", "3"]
        with started(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
            while len(door.times) < 3:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "run the same again to go on" in said
        assert "Traceback" not in said
        before = len(door.times)
        assert tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint)).requests == 13 - before


@pytest.mark.parametrize("kind", [concurrent.futures.ThreadPoolExecutor, concurrent.futures.ProcessPoolExecutor])
def test_an_executor_asks_with_its_share_of_the_rate(kind, endpoint: str, photos, tmp_path) -> None:
    with kind(2) as executor:
        run = tk.detect(
            photos,
            tmp_path / "run",
            session=functools.partial(tk.connect, endpoint),
            executor=executor,
            workers=2,
            tps=40,
        )
    assert (run.images, run.failed, run.requests) == (13, 1, 13)
    assert run.results().images["source_ref"].is_monotonic_increasing


@pytest.mark.slow
def test_the_machines_of_a_dask_cluster_ask_too(endpoint: str, photos, tmp_path) -> None:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as dask:
        run = tk.detect(
            photos,
            tmp_path / "run",
            session=functools.partial(tk.connect, endpoint),
            executor=dask.get_executor(),
            workers=2,
            tps=40,
        )
    assert (run.images, run.failed, run.requests) == (13, 1, 13)


# -- the rate ---------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _asked_in(rate: Rate, clock: Clock, seconds: float, allowed: float) -> int:
    """Requests of one client that asks whenever it may, to a service that serves so many a second."""
    asked, served_at, end = 0, clock.now - 1, clock.now + seconds
    while clock.now < end:
        clock.now += rate.take() or 0.0001
        asked += 1
        if clock.now - served_at >= 1 / allowed:
            served_at = clock.now
            rate.served()
        else:
            rate.refused()
    return asked


@given(st.floats(1, 200), st.lists(st.floats(0, 0.3), min_size=50, max_size=50))
def test_never_more_than_the_limit_whatever_the_pauses(limit: float, pauses: list[float]) -> None:
    clock = Clock()
    rate = Rate(limit, clock=clock)
    times = []
    for pause in pauses:
        clock.now += rate.take()
        times.append(clock.now)
        rate.served()
        clock.now += pause
    burst = max(1.0, 0.1 * limit) + 1
    for first in range(0, len(times), 7):
        for last in range(first, len(times)):
            assert last - first + 1 <= (times[last] - times[first]) * limit * 1.0001 + burst + 1


def test_the_rate_falls_to_what_is_served_and_comes_back() -> None:
    clock = Clock()
    rate = Rate(100, clock=clock)
    _asked_in(rate, clock, 10, allowed=20)
    assert 15 <= (rate.per_second or 0) <= 30
    _asked_in(rate, clock, 60, allowed=1e9)
    assert rate.per_second == 100


def test_without_a_limit_it_finds_the_services() -> None:
    clock = Clock()
    rate = Rate(None, clock=clock)
    _asked_in(rate, clock, 20, allowed=50)
    assert 40 <= (rate.per_second or 0) <= 80


def test_single_refusals_do_not_slow_it_down() -> None:
    clock = Clock()
    rate = Rate(50, clock=clock)
    for number in range(1000):
        clock.now += rate.take()
        rate.refused() if number % 10 == 0 else rate.served()
    assert rate.per_second == 50
    assert clock.now == pytest.approx(1000 * 0.9 / 50, rel=0.05)  # what was refused is given back


def test_the_accounts_limit_is_read_from_service_quotas(endpoint, monkeypatch) -> None:
    session = tk.connect("http://example.invalid", region_name="eu-west-1")
    client = session.client("service-quotas")
    quotas = [
        {"QuotaName": "Transactions per second per account for the Amazon Rekognition Image operation DetectFaces"},
        {
            "QuotaName": "Transactions per second per account for the Amazon Rekognition Image operation "
            "DetectModerationLabels",
            "Value": 25.0,
        },
    ]
    with Stubber(client) as stub:
        stub.add_response("list_service_quotas", {"Quotas": quotas}, {"ServiceCode": "rekognition"})
        monkeypatch.setattr(session, "client", lambda _: client)
        assert account_tps(session) == 25
    assert account_tps(tk.connect(endpoint)) is None


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
