"""Plain boto3 clients for the service's tests, images to send to it, and ways to wait for it."""

import errno
import io
import itertools
import json
import os
import random
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import boto3
import pytest
from PIL import Image, ImageDraw

from toolkit.manifests import ground_truth_record, to_line
from toolkit.service import ServiceProcess
from toolkit.service.state import State
from toolkit.storage import connect

_names = itertools.count()


def until(answer: Callable[[], Any], seconds: float = 30) -> Any:
    """The first true answer; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (found := answer()):
        assert time.monotonic() < deadline, "nothing happened in time"
        pause.wait(0.02)
    return found


def encoded(image: Image.Image, kind: str = "JPEG") -> bytes:
    with io.BytesIO() as file:
        image.save(file, kind)
        return file.getvalue()


def picture(seed: int, kind: str = "JPEG", size: tuple[int, int] = (160, 120)) -> bytes:
    """Coloured discs; another seed, another picture."""
    chance = random.Random(seed)
    image = Image.new("RGB", size, tuple(chance.randrange(256) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(20):
        x, y = chance.randrange(size[0]), chance.randrange(size[1])
        draw.ellipse((x, y, x + 40, y + 40), fill=tuple(chance.randrange(256) for _ in range(3)))
    return encoded(image, kind)


def shape(seed: int, circle: bool) -> bytes:
    """A red circle or a blue square somewhere on a light background: something to learn."""
    chance = random.Random(seed)
    image = Image.new("RGB", (160, 120), tuple(chance.randrange(200, 256) for _ in range(3)))
    x, y, side = chance.randrange(60), chance.randrange(40), chance.randrange(50, 80)
    draw = ImageDraw.Draw(image)
    if circle:
        draw.ellipse((x, y, x + side, y + side), fill=(chance.randrange(180, 256), 20, 30))
    else:
        draw.rectangle((x, y, x + side, y + side), fill=(20, 30, chance.randrange(180, 256)))
    return encoded(image)


def free_port() -> int:
    """A port that nobody listens on just now: a service started there again keeps its clients."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def killed(service: ServiceProcess) -> None:
    """kill -9, and waits until the process is gone."""
    process = service._process
    assert process
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    service.stop()


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
SQLITE_FULL = sqlite3.OperationalError("database or disk is full")
SQLITE_FULL.sqlite_errorcode = sqlite3.SQLITE_FULL


def take_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even that something failed can be written to the disk."""
    do = State._do

    def full(state: State, statement: str, *values: object) -> int:
        if any("FAILED" in str(value) for value in values):
            raise SQLITE_FULL
        return do(state, statement, *values)

    monkeypatch.setattr(State, "_do", full)


def raising(error: Exception) -> Callable[..., None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    return refuse


class Client:
    """Plain boto3 clients of one endpoint, and the steps that many tests take with them."""

    def __init__(self, endpoint_url: str, region_name: str = "us-east-1") -> None:
        self.session: boto3.Session = connect(endpoint_url, region_name=region_name)
        self.s3: Any = self.session.client("s3")
        self.kms: Any = self.session.client("kms")
        self.rekognition: Any = self.session.client("rekognition")

    def bucket(self, *, versioned: bool = False) -> str:
        name = f"bucket-{next(_names)}"
        region = self.session.region_name
        self.s3.create_bucket(
            Bucket=name,
            **({} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}),
        )
        if versioned:
            self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def put(self, bucket: str, key: str, body: bytes) -> str:
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)
        return f"s3://{bucket}/{key}"

    def get(self, place: dict[str, str]) -> bytes:
        names = {"Bucket": place["Bucket"], "Key": place["Name"]}
        version = {"VersionId": place["Version"]} if "Version" in place else {}
        return bytes(self.s3.get_object(**names, **version)["Body"].read())

    def manifest(self, bucket: str, refs: Iterable[str], key: str = "manifest.jsonl") -> dict[str, str]:
        self.put(bucket, key, "".join(to_line({"source-ref": ref}) for ref in refs).encode())
        return {"Bucket": bucket, "Name": key}

    def truth(self, bucket: str, key: str, labelled: Iterable[tuple[str, list[str]]]) -> dict[str, Any]:
        lines = "".join(to_line(ground_truth_record(ref, labels)) for ref, labels in labelled)
        self.put(bucket, key, lines.encode())
        return {"Assets": [{"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Name": key}}}]}

    def start(self, place: dict[str, str], *, output: str | None = None, prefix: str | None = None, **more: Any) -> str:
        config = {name: more.pop(name) for name in ("MinConfidence", "ProjectVersion") if name in more}
        out = {"S3Bucket": output or place["Bucket"]} | ({"S3KeyPrefix": prefix} if prefix else {})
        answer = self.rekognition.start_media_analysis_job(
            OperationsConfig={"DetectModerationLabels": config}, Input={"S3Object": place}, OutputConfig=out, **more
        )
        return str(answer["JobId"])

    def job(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended."""

        def ended() -> Any:
            job = self.rekognition.get_media_analysis_job(JobId=job_id)
            return job if job["Status"] in ("SUCCEEDED", "FAILED") else None

        return dict(until(ended, 60))

    def results(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        assert job["Status"] == "SUCCEEDED", job
        return [json.loads(line) for line in self.get(job["Results"]["S3Object"]).splitlines()]

    def summary(self, job: dict[str, Any]) -> dict[str, Any]:
        return dict(json.loads(self.get(job["ManifestSummary"]["S3Object"])))

    def project(self) -> str:
        name = f"project-{next(_names)}"
        return str(self.rekognition.create_project(ProjectName=name, Feature="CONTENT_MODERATION")["ProjectArn"])

    def train(self, project: str, bucket: str, training: Any, testing: Any, name: str = "v1", **more: Any) -> str:
        answer = self.rekognition.create_project_version(
            ProjectArn=project,
            VersionName=name,
            OutputConfig={"S3Bucket": bucket, "S3KeyPrefix": "training"},
            TrainingData=training,
            TestingData=testing,
            **more,
        )
        return str(answer["ProjectVersionArn"])

    def version(self, project: str, arn: str) -> dict[str, Any]:
        """The project version when its training has ended."""

        def ended() -> Any:
            described = self.rekognition.describe_project_versions(ProjectArn=project)["ProjectVersionDescriptions"]
            version = next(one for one in described if one["ProjectVersionArn"] == arn)
            return None if version["Status"] == "TRAINING_IN_PROGRESS" else version

        return dict(until(ended, 60))
