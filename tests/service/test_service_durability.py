"""Jobs through kill -9, SIGTERM, full disks and missing objects: they go on to the same bytes, or say why not."""

import json
import random
import signal
import sqlite3
import threading
from functools import partial
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from service_client import FULL, SQLITE_FULL, Client, free_port, killed, picture, raising, shape, take_no_failure, until

from toolkit.errors import Unreachable
from toolkit.service import LocalService, ServiceProcess
from toolkit.service.lifecycle import AdapterStatus, mark_adapter
from toolkit.service.records import ProjectRecord
from toolkit.service.state import Gone, State

IMAGES = 400
KILLS = 10


@pytest.mark.slow
def test_ten_kills_do_not_change_a_byte(tmp_path: Path) -> None:
    chance = random.Random(7)
    service = ServiceProcess(tmp_path, port=free_port()).start()
    client = Client(service.endpoint_url)
    bucket = client.bucket(versioned=True)
    refs = [client.put(bucket, f"{number}.jpg", picture(number, size=(320, 240))) for number in range(IMAGES)]
    for number in range(5, IMAGES, 37):
        client.put(bucket, f"{number}.jpg", b"not an image")
    place = client.manifest(bucket, [*refs, refs[3], f"s3://{bucket}/gone.jpg"])

    undisturbed = client.job(client.start(place, MinConfidence=0))
    expected = client.get(undisturbed["Results"]["S3Object"])
    summary = client.get(undisturbed["ManifestSummary"]["S3Object"])

    disturbed = client.start(place, MinConfidence=0, ClientRequestToken="once")
    client.s3.delete_object(Bucket=bucket, Key=place["Name"])  # the job has its own copy, or a version of it
    left: list[int] = []
    for kill in range(KILLS):
        if kill % 2:  # on a busy machine, too, it gets on in between
            until(lambda: _progress(client, disturbed)[0] > left[-1])  # noqa: B023  (called before the next kill)
        threading.Event().wait(chance.uniform(0, 0.1))  # anywhere in the work on a batch
        killed(service)
        left += _left_unfinished(tmp_path)
        service.start()
    job = client.job(disturbed)
    assert len(left) == KILLS, left  # each hit the job at work
    assert len(set(left)) > KILLS / 2, left
    assert client.get(job["Results"]["S3Object"]) == expected
    assert client.get(job["ManifestSummary"]["S3Object"]) == summary
    lines = [json.loads(line)["source-ref"] for line in expected.splitlines()]
    bad = set(range(5, IMAGES, 37))
    assert lines == [*(ref for number, ref in enumerate(refs) if number not in bad), refs[3]]
    written = client.s3.list_object_versions(Bucket=bucket, Prefix=f"{disturbed}/")["Versions"]
    assert len(written) == 2  # results and summary, each written once
    service.stop()
    assert not list((tmp_path / "jobs").glob("*"))


def test_sigterm_loses_nothing_and_takes_less_than_five_seconds(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path).start()
    client = Client(service.endpoint_url)
    bucket = client.bucket()
    place = client.manifest(bucket, [client.put(bucket, f"{number}.jpg", picture(number)) for number in range(40)] * 3)
    expected = client.results(client.job(client.start(place, MinConfidence=0)))
    job_id = client.start(place, MinConfidence=0)
    until(lambda: _progress(client, job_id)[0] > 8)
    process = service._process
    assert process
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0  # it takes four seconds at most; the rest is for a busy machine
    service.stop()
    with ServiceProcess(tmp_path) as service:
        client = Client(service.endpoint_url)
        assert _progress(client, job_id)[0] > 8
        assert client.results(client.job(job_id)) == expected


def _left_unfinished(folder: Path) -> list[int]:
    """How far the jobs had come that a killed service left behind."""
    state = State(folder / "service.sqlite")
    try:
        return [job.done for job in state.unfinished_jobs()]
    finally:
        state.close()


def _progress(client: Client, job_id: str) -> tuple[int, int]:
    job = client.rekognition.get_media_analysis_job(JobId=job_id)
    done, total = job["ResponseMetadata"]["HTTPHeaders"]["x-modkit-progress"].split("/")
    return int(done), int(total)


@pytest.mark.parametrize(
    ("where", "error", "failing_too"),
    [
        ("toolkit.service.checkpoint.Recorder.add", FULL, False),
        ("toolkit.service.checkpoint.Checkpoint.keep_manifest", FULL, False),
        ("toolkit.service.state.State.set_job_progress", SQLITE_FULL, True),
        ("toolkit.service.disk.Disk.write", FULL, True),
    ],
)
def test_a_full_disk_fails_the_job(
    client: Client, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception, failing_too: bool
) -> None:
    bucket = client.bucket()
    place = client.manifest(bucket, [client.put(bucket, "a.jpg", picture(1))])
    monkeypatch.setattr(where, raising(error))
    if failing_too:
        take_no_failure(monkeypatch)
    job = client.job(client.start(place))
    assert job["Status"] == "FAILED"
    assert job["FailureDetails"]["Code"] == "INTERNAL_ERROR"
    assert str(error) in job["FailureDetails"]["Message"]
    listed = client.rekognition.list_media_analysis_jobs(MaxResults=1)["MediaAnalysisJobs"]
    assert [one["Status"] for one in listed] == ["FAILED"]
    assert "CompletionTimestamp" in job


@pytest.mark.parametrize(
    ("where", "error"),
    [("State", SQLITE_FULL), ("Disk", FULL), ("State", sqlite3.OperationalError("?"))],
)
def test_a_service_that_cannot_start_says_whether_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception
) -> None:
    monkeypatch.setattr(f"toolkit.service.backend.{where}", raising(error))
    why = "cannot keep its data there" if "?" in str(error) else "the disk is full; make room there"
    with pytest.raises(Unreachable, match=why) as refused:
        LocalService(tmp_path).start()
    assert "another service" not in str(refused.value)


def test_a_lock_that_cannot_be_written_is_not_another_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lock:
        execute = staticmethod(raising(SQLITE_FULL))
        close = staticmethod(lambda: None)

    monkeypatch.setattr("toolkit.service.backend.sqlite3.connect", lambda *_, **__: Lock())
    with pytest.raises(Unreachable, match=f"{tmp_path}: the disk is full; make room there, or name another folder"):
        LocalService(tmp_path).start()


def test_what_a_full_disk_does_not_take_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with LocalService(tmp_path) as service:
        client = Client(service.endpoint_url)
        once = Config(retries={"total_max_attempts": 1})
        client.rekognition = client.session.client("rekognition", config=once)
        bucket = client.bucket()
        place = client.manifest(bucket, [client.put(bucket, "a.jpg", picture(1))])
        database = service.backend.state._db
        database.execute("PRAGMA max_page_count = 1")  # no more than there are
        jobs: list[str] = []
        projects: list[str] = []
        for call, answers in ((partial(client.start, place, prefix="p" * 200), jobs), (client.project, projects)):
            with pytest.raises(ClientError, match=r"\(InternalServerError\).* disk is full; make room there"):
                answers.extend(call() for _ in range(100))
        database.execute("PRAGMA max_page_count = 100000")
        jobs.append(client.start(place))
        projects.append(client.project())
        listed = client.rekognition.list_media_analysis_jobs()["MediaAnalysisJobs"]
        described = client.rekognition.describe_projects(Features=["CONTENT_MODERATION"])["ProjectDescriptions"]
        assert {one["JobId"] for one in listed} == set(jobs)
        assert {one["ProjectArn"] for one in described} == set(projects)


def test_what_goes_missing_while_a_job_runs_is_told(client: Client) -> None:
    bucket, output = client.bucket(), client.bucket()
    first, last = (client.put(bucket, name, picture(1)) for name in ("first.jpg", "last.jpg"))
    place = client.manifest(bucket, [*[first] * 300, last])
    missing, unwritable = client.start(place), client.start(place, output=output)
    until(lambda: _progress(client, missing)[0] and _progress(client, unwritable)[0])
    client.s3.delete_object(Bucket=bucket, Key="last.jpg")
    client.s3.delete_bucket(Bucket=output)
    job = client.job(missing)
    [error] = client.summary(job)["errors"]
    assert (error["line-number"], error["code"]) == (301, "INVALID_S3_OBJECT")
    assert len(client.results(job)) == 300
    job = client.job(unwritable)
    assert (job["Status"], job["FailureDetails"]["Code"]) == ("FAILED", "INVALID_OUTPUT_CONFIG")


def test_a_job_killed_as_it_ended_writes_its_files_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, LocalService(tmp_path) as service:
        patch.setattr("toolkit.service.state.State.finish_job", raising(Killed()))
        client = Client(service.endpoint_url)
        bucket = client.bucket(versioned=True)
        place = client.manifest(bucket, [client.put(bucket, "a.jpg", picture(1))])
        job_id = client.start(place, prefix="out")
        until(lambda: client.s3.list_objects_v2(Bucket=bucket, Prefix="out").get("KeyCount") == 2)
    outcomes = tmp_path / "jobs" / job_id / "outcomes"
    with outcomes.open("ab") as file:
        file.write(b'+{"source-ref": "torn')
    with LocalService(tmp_path) as service:
        client = Client(service.endpoint_url)
        job = client.job(job_id)
        assert len(client.results(job)) == 1
        versions = client.s3.list_object_versions(Bucket=bucket, Prefix="out")["Versions"]
        assert {one["VersionId"] for one in versions} == {
            job[member]["S3Object"]["Version"] for member in ("Results", "ManifestSummary")
        }


PROJECT = ProjectRecord(0, "project", "123456789012", "us-east-1", "cards", "DISABLED", 0.0)


def test_a_version_of_a_project_that_was_deleted_meanwhile_is_not_made(tmp_path: Path) -> None:
    state = State(tmp_path / "service.sqlite")
    state.add_project(PROJECT)
    assert state.delete_project(PROJECT.arn)
    with pytest.raises(Gone):
        state.add_version("arn", PROJECT.arn, "v1", {})
    assert state.version("arn") is None
    state.add_project(PROJECT)
    state.add_version("arn", PROJECT.arn, "v1", {})
    state.close()
    with sqlite3.connect(tmp_path / "service.sqlite") as db:  # as an earlier release let it happen
        db.execute("DELETE FROM projects")
    with ServiceProcess(tmp_path) as service:
        assert not Client(service.endpoint_url).rekognition.describe_projects()["ProjectDescriptions"]


def test_a_killed_job_goes_on_with_the_adapter_it_began_with(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path, port=free_port()).start()
    client = Client(service.endpoint_url)
    bucket = client.bucket()
    cards = [(client.put(bucket, f"{n}.jpg", shape(n, n % 2 == 0)), ["Gambling"] * (n % 2 == 0)) for n in range(20)]
    training, testing = client.truth(bucket, "training", cards[:12]), client.truth(bucket, "testing", cards[12:])
    project = client.project()
    arn = client.train(project, bucket, training, testing)
    assert client.version(project, arn)["Status"] == "TRAINING_COMPLETED"
    place = client.manifest(bucket, [ref for ref, _ in cards] * 15)
    expected = client.results(client.job(client.start(place, ProjectVersion=arn, MinConfidence=0)))
    jobs = [client.start(place, ProjectVersion=arn, MinConfidence=0) for _ in range(2)]
    for job_id in jobs:
        until(lambda: _progress(client, job_id)[0] > 8)  # noqa: B023  (called at once)
    mark_adapter(tmp_path, arn, AdapterStatus.EXPIRED)
    killed(service)
    service.start()
    client.rekognition.delete_project_version(ProjectVersionArn=arn)
    for job_id in jobs:
        assert client.results(client.job(job_id)) == expected
    service.stop()


class Killed(BaseException):
    """Goes past everything that catches, as a kill does."""


def test_a_folder_of_an_older_version_is_taken_over(tmp_path: Path) -> None:
    state = State(tmp_path / "service.sqlite")
    state.add_project(PROJECT)
    state.add_version("arn", PROJECT.arn, "v1", {"kept": True})
    state.close()
    with sqlite3.connect(tmp_path / "service.sqlite") as db:  # as it was before adapters wrote an evaluation
        db.executescript("ALTER TABLE versions RENAME COLUMN output_folder TO summary_key; PRAGMA user_version = 0")
        db.execute("UPDATE versions SET summary_key = 'p/v1/manifest-summary.json'")
    for _ in range(2):
        state = State(tmp_path / "service.sqlite")
        version = state.version("arn")
        state.close()
        assert version
        assert (version.request, version.output_folder) == ({"kept": True}, None)
