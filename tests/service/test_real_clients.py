"""The whole cycle as boto3, the AWS command line and the AWS SDK for JavaScript do it, and what each of them sees.

Each works in a region of its own, so the jobs that it lists are its own.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from service_client import Client, picture, until

from toolkit.manifests import parse_result_line, parse_summary, to_line
from toolkit.service import LocalService

JAVASCRIPT = Path(__file__).with_name("js")
NO_NODE = "no Node.js 18 or newer with npm: get it from nodejs.org, or by `apt-get install nodejs npm`"
REFUSALS = {
    "IdempotentParameterMismatchException": "already used for another request",
    "InvalidImageFormatException": "JPEG",
    "InvalidManifestException": "the manifest is empty",
    "InvalidPaginationTokenException": "NextToken",
    "InvalidParameterException": "above the maximum of 100",
    "InvalidS3ObjectException": "no such object",
    "NoSuchKey": "key does not exist",
    "ResourceNotFoundException": "there is no such job",
}
"""What every client is refused once: the error's name, and some of its message."""

Seen = dict[str, Any]


class Place:
    """Where one client works, and with which images and which KMS key."""

    def __init__(self, endpoint: str, region: str, images: Path) -> None:
        self.endpoint = endpoint
        self.region = region
        self.images = images
        self.bucket = f"real-client-{region}"
        self.boto = Client(endpoint, region)
        self.key: str = self.boto.kms.create_key()["KeyMetadata"]["Arn"]

    @property
    def environment(self) -> dict[str, str]:
        """All that a client in a process of its own is told."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @property
    def refs(self) -> list[str]:
        """The images as they will lie in the bucket."""
        return [f"s3://{self.bucket}/images/{path.name}" for path in sorted(self.images.iterdir())]

    @property
    def manifest(self) -> bytes:
        return "".join(to_line({"source-ref": ref}) for ref in self.refs).encode()


def with_boto3(place: Place, _: Path) -> Seen:
    s3, rekognition, bucket = place.boto.s3, place.boto.rekognition, place.bucket
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": place.region})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for path in place.images.iterdir():
        s3.upload_file(str(path), bucket, f"images/{path.name}")
    version = s3.put_object(Bucket=bucket, Key="manifest.jsonl", Body=place.manifest)["VersionId"]
    s3.put_object(Bucket=bucket, Key="empty.jsonl", Body=b"")

    start, detect = rekognition.start_media_analysis_job, rekognition.detect_moderation_labels
    plain = {
        "OperationsConfig": {"DetectModerationLabels": {}},
        "Input": {"S3Object": {"Bucket": bucket, "Name": "manifest.jsonl", "Version": version}},
        "OutputConfig": {"S3Bucket": bucket},
    }
    whole = plain | {
        "JobName": "whole-cycle",
        "ClientRequestToken": "only-once",
        "OperationsConfig": {"DetectModerationLabels": {"MinConfidence": 0}},
        "OutputConfig": {"S3Bucket": bucket, "S3KeyPrefix": "out"},
        "KmsKeyId": place.key,
    }
    started = [start(**request)["JobId"] for request in (whole, plain, plain)]
    again = start(**whole)["JobId"]
    job = until(lambda: ended(rekognition.get_media_analysis_job(JobId=started[0])), 60)

    pages: list[list[str]] = []
    token: dict[str, str] = {}
    while not pages or token:
        page = rekognition.list_media_analysis_jobs(MaxResults=2, **token)
        pages.append([listed["JobId"] for listed in page["MediaAnalysisJobs"]])
        token = {"NextToken": page["NextToken"]} if "NextToken" in page else {}

    def elsewhere(name: str) -> Any:
        return start(**plain | {"Input": {"S3Object": {"Bucket": bucket, "Name": name}}})

    def confidence(least: float) -> Any:
        return start(**plain | {"OperationsConfig": {"DetectModerationLabels": {"MinConfidence": least}}})

    calls: dict[str, Callable[[], Any]] = {
        "IdempotentParameterMismatchException": lambda: start(**whole | {"JobName": "another"}),
        "InvalidImageFormatException": lambda: detect(Image={"Bytes": b"no image"}),
        "InvalidManifestException": lambda: elsewhere("empty.jsonl"),
        "InvalidPaginationTokenException": lambda: rekognition.list_media_analysis_jobs(NextToken="nonsense"),
        "InvalidParameterException": lambda: confidence(101),
        "InvalidS3ObjectException": lambda: elsewhere("gone.jsonl"),
        "NoSuchKey": lambda: s3.get_object(Bucket=bucket, Key="gone.jsonl"),
        "ResourceNotFoundException": lambda: rekognition.get_media_analysis_job(JobId="unknown"),
    }
    messages = {}
    for name, call in calls.items():
        with pytest.raises(getattr((s3 if name == "NoSuchKey" else rekognition).exceptions, name)) as refused:
            call()
        assert refused.value.response["ResponseMetadata"]["RequestId"]
        messages[name] = refused.value.response["Error"]["Message"]

    by_bytes = detect(Image={"Bytes": (place.images / "0.jpg").read_bytes()}, MinConfidence=0)
    by_place = detect(Image={"S3Object": {"Bucket": bucket, "Name": "images/0.jpg"}}, MinConfidence=0)
    return {
        "started": started,
        "again": again,
        "job": {name: value for name, value in job.items() if name != "ResponseMetadata"},
        "pages": pages,
        "results": read(s3, job["Results"]),
        "summary": read(s3, job["ManifestSummary"]),
        "by_bytes": by_bytes["ModerationLabels"],
        "by_place": by_place["ModerationLabels"],
        "messages": messages,
    }


def with_the_command_line(place: Place, folder: Path) -> Seen:
    bucket = place.bucket

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        aws = [str(Path(sys.executable).with_name("aws")), "--output", "json", *command]
        return subprocess.run(aws, env=place.environment, capture_output=True, text=True, timeout=120, check=False)

    def aws(*command: str) -> str:
        done = run(*command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rekognition(*command: str) -> Any:
        return json.loads(aws("rekognition", *command))

    def refusal(name: str, *command: str) -> str:
        done = run(*command)
        assert done.returncode not in (0, 1, 2), done.stderr
        said = re.search(rf"\({name}\) when calling the \w+ operation: (.+)", done.stderr)
        assert said, done.stderr
        return said[1]

    aws("s3", "mb", f"s3://{bucket}")
    aws("s3api", "put-bucket-versioning", "--bucket", bucket, "--versioning-configuration", "Status=Enabled")
    aws("s3", "sync", str(place.images), f"s3://{bucket}/images")
    (folder / "manifest.jsonl").write_bytes(place.manifest)
    (folder / "empty.jsonl").touch()
    aws("s3", "cp", str(folder / "empty.jsonl"), f"s3://{bucket}/empty.jsonl")
    put = ["put-object", "--bucket", bucket, "--key", "manifest.jsonl", "--body", str(folder / "manifest.jsonl")]
    version = json.loads(aws("s3api", *put))["VersionId"]

    start = ["start-media-analysis-job", "--output-config", f"S3Bucket={bucket},S3KeyPrefix=out"]
    detecting = "DetectModerationLabels={MinConfidence=%d}"
    manifest = f"S3Object={{Bucket={bucket},Name=manifest.jsonl,Version={version}}}"
    plain = [*start, "--operations-config", detecting % 50, "--input", manifest]
    whole = [*start, "--operations-config", detecting % 0, "--input", manifest, "--kms-key-id", place.key]
    whole += ["--client-request-token", "only-once", "--job-name"]
    started = [rekognition(*command)["JobId"] for command in ([*whole, "whole-cycle"], plain, plain)]
    again = rekognition(*whole, "whole-cycle")["JobId"]
    job = until(lambda: ended(rekognition("get-media-analysis-job", "--job-id", started[0])), 60)

    pages: list[list[str]] = []
    token: list[str] = []
    while not pages or token:
        page = rekognition("list-media-analysis-jobs", "--max-results", "2", *token)
        pages.append([listed["JobId"] for listed in page["MediaAnalysisJobs"]])
        token = ["--next-token", page["NextToken"]] if "NextToken" in page else []

    aws("s3", "cp", "--recursive", f"s3://{bucket}/out/{started[0]}", str(folder))

    def elsewhere(name: str) -> list[str]:
        where = f"S3Object={{Bucket={bucket},Name={name}}}"
        return ["rekognition", *start, "--operations-config", detecting % 50, "--input", where]

    detect = ["rekognition", "detect-moderation-labels", "--min-confidence", "0"]
    listing = ["rekognition", "list-media-analysis-jobs", "--max-results", "2"]
    commands = {
        "IdempotentParameterMismatchException": ["rekognition", *whole, "another"],
        "InvalidImageFormatException": [*detect, "--image-bytes", f"fileb://{place.images}/no-image.jpg"],
        "InvalidManifestException": elsewhere("empty.jsonl"),
        "InvalidPaginationTokenException": [*listing, "--next-token", "nonsense"],
        "InvalidParameterException": ["rekognition", *plain, "--operations-config", detecting % 101],
        "InvalidS3ObjectException": elsewhere("gone.jsonl"),
        "NoSuchKey": ["s3api", "get-object", "--bucket", bucket, "--key", "gone.jsonl", str(folder / "gone.jsonl")],
        "ResourceNotFoundException": ["rekognition", "get-media-analysis-job", "--job-id", "unknown"],
    }
    in_bucket = f"S3Object={{Bucket={bucket},Name=images/0.jpg}}"
    return {
        "started": started,
        "again": again,
        "job": job,
        "pages": pages,
        "results": (folder / "results.jsonl").read_text(encoding="utf-8"),
        "summary": (folder / "manifest-summary.json").read_text(encoding="utf-8"),
        "by_bytes": json.loads(aws(*detect, "--image-bytes", f"fileb://{place.images}/0.jpg"))["ModerationLabels"],
        "by_place": json.loads(aws(*detect, "--image", in_bucket))["ModerationLabels"],
        "messages": {name: refusal(name, *command) for name, command in commands.items()},
    }


def with_javascript(place: Place, folder: Path) -> Seen:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm) or int(subprocess.check_output([node, "-p", "parseInt(process.versions.node)"])) < 18:
        missing(NO_NODE)
    for name in ("package.json", "package-lock.json", "cycle.mjs"):
        shutil.copy(JAVASCRIPT / name, folder)  # a module finds its packages beside it, and the checkout stays clean

    def run(*command: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False, **more)

    quiet = ("--no-audit", "--no-fund", "--loglevel=error")
    done = run(npm, "ci", "--ignore-scripts", "--prefer-offline", "--fetch-retries=1", *quiet)
    if done.returncode:
        missing(f"npm cannot get what tests/service/js/package.json asks for: {' '.join(done.stderr.split()):.200}")
    done = run(node, "cycle.mjs", place.bucket, place.key, str(place.images), env=place.environment)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def missing(why: str) -> NoReturn:
    """Skips; under CI=true nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def ended(job: Seen) -> Seen | None:
    return job if job["Status"] in ("SUCCEEDED", "FAILED") else None


def read(s3: Any, member: Seen) -> str:
    at = member["S3Object"]
    answer = s3.get_object(Bucket=at["Bucket"], Key=at["Name"], VersionId=at["Version"])
    return str(answer["Body"].read().decode("utf-8"))


def seconds(time: datetime | str | float) -> float:
    """A time since 1970, however a client writes it."""
    time = datetime.fromisoformat(time) if isinstance(time, str) else time
    return time.timestamp() if isinstance(time, datetime) else time


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures, and a file that is none."""
    folder = tmp_path_factory.mktemp("images")
    for seed in range(5):
        (folder / f"{seed}.jpg").write_bytes(picture(seed))
    (folder / "no-image.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("ap-south-1", with_boto3), id="boto3"),
        pytest.param(("eu-north-1", with_the_command_line), id="command-line", marks=pytest.mark.slow),
        pytest.param(("sa-east-1", with_javascript), id="javascript"),
    ],
)
def cycle(
    request: pytest.FixtureRequest, service: LocalService, images: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Place, Seen]:
    """Where a client worked, and what it saw there."""
    region, run = request.param
    place = Place(service.endpoint_url, region, images)
    return place, run(place, tmp_path_factory.mktemp("client"))


def test_a_real_client_sees_a_job_as_it_was_started(cycle: tuple[Place, Seen]) -> None:
    place, seen = cycle
    job = dict(seen["job"])
    truth = place.boto.rekognition.get_media_analysis_job(JobId=seen["started"][0])
    for name in ("CreationTimestamp", "CompletionTimestamp"):
        assert seconds(job.pop(name)) == pytest.approx(seconds(truth.pop(name)), abs=0.002)
    assert job == {name: value for name, value in truth.items() if name != "ResponseMetadata"}
    assert job["Status"] == "SUCCEEDED"
    assert job["JobName"] == "whole-cycle"
    assert job["OperationsConfig"] == {"DetectModerationLabels": {"MinConfidence": 0}}
    assert job["OutputConfig"] == {"S3Bucket": place.bucket, "S3KeyPrefix": "out"}
    assert job["KmsKeyId"] == place.key
    versions = place.boto.s3.list_object_versions(Bucket=place.bucket, Prefix="manifest.jsonl")["Versions"]
    assert [version["VersionId"] for version in versions] == [job["Input"]["S3Object"]["Version"]]


def test_a_real_client_reads_results_and_summary_as_they_were_written(cycle: tuple[Place, Seen]) -> None:
    place, seen = cycle
    s3 = place.boto.s3
    assert seen["results"] == read(s3, seen["job"]["Results"])
    assert seen["summary"] == read(s3, seen["job"]["ManifestSummary"])
    results = [parse_result_line(line) for line in seen["results"].splitlines()]
    assert [result.source_ref for result in results] == place.refs[:5]
    assert len({result.answer.labels[0].confidence for result in results}) == 5
    summary = parse_summary(seen["summary"].encode())
    assert (summary.total, summary.valid) == (6, 5)
    assert [(error.line, error.code, error.source_ref) for error in summary.errors] == [
        (6, "INVALID_IMAGE_FORMAT", place.refs[5])
    ]


def test_a_real_client_lists_its_jobs_newest_first_page_by_page(cycle: tuple[Place, Seen]) -> None:
    _, seen = cycle
    first, second, third = seen["started"]
    assert seen["again"] == first
    assert seen["pages"] == [[third, second], [first]]


def test_a_real_client_has_one_image_analyzed_at_once(cycle: tuple[Place, Seen]) -> None:
    _, seen = cycle
    line = json.loads(seen["results"].splitlines()[0])
    assert seen["by_bytes"] == seen["by_place"] == line["detect-moderation-labels"]["ModerationLabels"]


def test_a_real_client_is_refused_with_its_own_typed_errors(cycle: tuple[Place, Seen]) -> None:
    _, seen = cycle
    assert seen["messages"].keys() == REFUSALS.keys()
    for name, part in REFUSALS.items():
        assert part in seen["messages"][name]
