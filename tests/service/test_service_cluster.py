"""Inference on a Dask cluster: real workers in processes of their own, and what happens when they go away."""

import os
import pickle
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster
from service_client import Client, picture, until

from toolkit.errors import Unreachable
from toolkit.service import LocalService
from toolkit.service import cluster as cluster_module
from toolkit.service.model import BadImage

IMAGES = 200
DEAD = "tcp://127.0.0.1:9"
QUIET: dict[str, Any] = {"host": "tcp://127.0.0.1", "dashboard_address": ":0"}


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **QUIET) as cluster:
        yield cluster


def collection(client: Client, bucket: str) -> dict[str, str]:
    """Pictures, and things that are none, in an order that leaves whole and broken batches."""
    refs = [client.put(bucket, f"{n}.jpg", picture(n) if n % 13 else b"not an image") for n in range(IMAGES)]
    return client.manifest(bucket, [*refs, f"s3://{bucket}/missing.jpg", refs[1]])


def files(client: Client, job: dict[str, Any]) -> tuple[bytes, bytes]:
    assert job["Status"] == "SUCCEEDED", job
    return client.get(job["Results"]["S3Object"]), client.get(job["ManifestSummary"]["S3Object"])


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes_even_when_a_worker_is_killed(dask: Any, tmp_path: Path) -> None:
    with LocalService(tmp_path) as service:
        client = Client(service.endpoint_url)
        bucket = client.bucket()
        place = collection(client, bucket)
        expected = files(client, client.job(client.start(place, MinConfidence=0)))
    assert expected[0].count(b"\n") > 180
    with LocalService(tmp_path, scheduler=dask.scheduler_address) as service:
        client = Client(service.endpoint_url)
        assert files(client, client.job(client.start(place, MinConfidence=0))) == expected
        job_id = client.start(place, MinConfidence=0)
        progress = "x-modkit-progress"
        get = client.rekognition.get_media_analysis_job
        until(lambda: int(get(JobId=job_id)["ResponseMetadata"]["HTTPHeaders"][progress].split("/")[0]) > 20)
        victim = next(iter(dask.workers.values()))
        os.kill(victim.pid, signal.SIGKILL)
        assert get(JobId=job_id)["Status"] == "IN_PROGRESS"
        assert files(client, client.job(job_id)) == expected


def test_a_training_may_use_the_cluster_too(dask: Any, tmp_path: Path, shapes: dict[str, Any], client: Client) -> None:
    with LocalService(tmp_path, scheduler=dask.scheduler_address) as service:
        remote = Client(service.endpoint_url)
        bucket = remote.bucket()
        manifests = []
        for part in ("training", "testing"):
            place = shapes[part]["Assets"][0]["GroundTruthManifest"]["S3Object"]
            lines = client.get(place).decode().replace(shapes["bucket"], bucket)
            for ref in (line.split('"')[3] for line in lines.splitlines()):
                key = ref.split("/", 3)[3]
                remote.put(bucket, key, client.get({"Bucket": shapes["bucket"], "Name": key}))
            remote.put(bucket, part, lines.encode())
            manifests.append({"Assets": [{"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Name": part}}}]})
        project = remote.project()
        version = remote.version(project, remote.train(project, bucket, *manifests))
        assert version["EvaluationResult"]["F1Score"] == shapes["version"]["EvaluationResult"]["F1Score"]


def test_a_scheduler_that_goes_away_fails_the_job_and_says_so(tmp_path: Path) -> None:
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **QUIET)
    with LocalService(tmp_path, scheduler=cluster.scheduler_address) as service:
        client = Client(service.endpoint_url)
        bucket = client.bucket()
        place = client.manifest(bucket, [client.put(bucket, "a.jpg", picture(1))] * 2000)
        job_id = client.start(place)
        until(lambda: client.rekognition.get_media_analysis_job(JobId=job_id)["Status"] == "IN_PROGRESS")
        cluster.close()
        for job in (client.job(job_id), client.job(client.start(place))):
            assert (job["Status"], job["FailureDetails"]["Code"]) == ("FAILED", "INTERNAL_ERROR")
            assert "its scheduler is gone; start it again" in job["FailureDetails"]["Message"]
        # One image at once needs no cluster.
        answer = client.rekognition.detect_moderation_labels(Image={"Bytes": picture(1)})
        assert answer["ModerationModelVersion"] == "7.0"


def test_a_cluster_without_workers_fails_the_job_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_WORKERLESS_SECONDS", 1.0)
    with (
        LocalCluster(n_workers=0, processes=False, **QUIET) as cluster,
        LocalService(tmp_path, scheduler=cluster.scheduler_address) as service,
    ):
        client = Client(service.endpoint_url)
        bucket = client.bucket()
        job = client.job(client.start(client.manifest(bucket, [client.put(bucket, "a.jpg", picture(1))])))
        assert job["Status"] == "FAILED"
        assert "has no workers; start some (dask worker tcp://" in job["FailureDetails"]["Message"]


def test_a_worker_that_would_see_something_else_is_not_asked(
    dask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = dict(cluster_module._versions())
    with LocalService(tmp_path, scheduler=dask.scheduler_address) as service:
        client = Client(service.endpoint_url)
        bucket = client.bucket()
        place = client.manifest(bucket, [client.put(bucket, "a.jpg", picture(1))])
        monkeypatch.setattr(service.backend.engine._cluster, "_versions", real | {"pillow": "1.0"})
        job = client.job(client.start(place))
        assert job["Status"] == "FAILED"
        assert job["FailureDetails"]["Message"].endswith("a worker has other versions; install pillow 1.0 there.")


def test_a_cluster_that_is_not_there_is_said_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_CONNECT_SECONDS", 1)
    for address in (DEAD, "nonsense://x", "tcp://"):
        with pytest.raises(Unreachable, match="no Dask scheduler answers there"):
            LocalService(tmp_path, scheduler=address).start()
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Unreachable, match="pip install distributed"):
        LocalService(tmp_path, scheduler=DEAD).start()
    with LocalService(tmp_path):  # what failed left nothing locked
        pass


def test_a_refusal_survives_the_way_between_processes() -> None:
    refusal = pickle.loads(pickle.dumps(BadImage("IMAGE_TOO_SMALL", "1 × 1 pixels.")))
    assert (refusal.code, refusal.message, str(refusal)) == ("IMAGE_TOO_SMALL", "1 × 1 pixels.", "1 × 1 pixels.")
