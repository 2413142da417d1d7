"""Every exception of StartMediaAnalysisJob for its own cause, quotas and bucket policies among them."""

import json
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from service_client import Client, picture, raising, until

from toolkit.service import LocalService
from toolkit.service.faults import Fault, ProvisionedThroughputExceeded, Throttling
from toolkit.service.limits import Limits, Throttle
from toolkit.service.permissions import denies

ARN = "arn:aws:rekognition:us-east-1:123456789012:project/none/version/v1/1"


def impatient(service: LocalService) -> Client:
    """A client that takes the first answer: retrying is what a client ought to do, and not what is asked here."""
    client = Client(service.endpoint_url)
    client.rekognition = client.session.client("rekognition", config=Config(retries={"total_max_attempts": 1}))
    return client


def one_image(client: Client, bucket: str, times: int = 1) -> dict[str, str]:
    return client.manifest(bucket, [client.put(bucket, "a.jpg", picture(1))] * times)


def refused(call: Callable[[], Any]) -> ClientError:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value


def policy(*statements: dict[str, Any]) -> str:
    everything = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [everything | one for one in statements]})


def test_every_exception_of_starting_a_job_has_its_cause(
    service: LocalService, shapes: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = impatient(service)
    bucket, locked = client.bucket(), client.bucket()
    place = one_image(client, bucket)
    client.s3.put_bucket_policy(Bucket=locked, Policy=policy({"Action": "s3:PutObject"}))
    client.put(bucket, "empty", b"")
    client.start(place, ClientRequestToken="used")
    training = client.train(client.project(), shapes["bucket"], shapes["training"], shapes["testing"])
    causes = {
        "AccessDeniedException": partial(client.start, place, output=locked),
        "IdempotentParameterMismatchException": partial(
            client.start, place, ClientRequestToken="used", MinConfidence=1
        ),
        "InvalidManifestException": partial(client.start, {"Bucket": bucket, "Name": "empty"}),
        "InvalidParameterException": partial(client.start, place, MinConfidence=101),
        "InvalidS3ObjectException": partial(client.start, {"Bucket": bucket, "Name": "missing"}),
        "ResourceNotFoundException": partial(client.start, place, ProjectVersion=ARN),
        "ResourceNotReadyException": partial(client.start, place, ProjectVersion=training),
    }
    errors = {name: refused(call) for name, call in causes.items()}
    with monkeypatch.context() as patched:
        patched.setattr(service.backend.state, "add_job", raising(sqlite3.OperationalError("disk I/O error")))
        errors["InternalServerError"] = refused(partial(client.start, place))
    with LocalService(tmp_path, limits=Limits(tps=0.01, max_concurrent_jobs=0)) as limited:
        client = impatient(limited)
        place = one_image(client, client.bucket())
        for name in ("LimitExceededException", "ProvisionedThroughputExceededException", "ThrottlingException"):
            errors[name] = refused(partial(client.start, place))
    for name, error in errors.items():
        assert error.response["Error"]["Code"] == name
        assert error.response["Error"]["Message"].endswith(".")
        at_fault = name in ("InternalServerError", "ThrottlingException")  # so AWS documents it
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == (500 if at_fault else 400)
    operation = client.rekognition.meta.service_model.operation_model("StartMediaAnalysisJob")
    assert set(errors) == {shape.name for shape in operation.error_shapes}


def test_a_client_that_retries_gets_through_a_throttled_service(tmp_path: Path) -> None:
    with LocalService(tmp_path, limits=Limits(tps=4)) as service:
        client = Client(service.endpoint_url)
        patient = client.session.client("rekognition", config=Config(retries={"mode": "standard", "max_attempts": 10}))
        answers = [patient.list_media_analysis_jobs() for _ in range(10)]
        assert sum(answer["ResponseMetadata"]["RetryAttempts"] for answer in answers) > 0


def test_a_job_that_has_ended_makes_room_for_another(tmp_path: Path) -> None:
    with LocalService(tmp_path, limits=Limits(max_concurrent_jobs=1)) as service:
        client = impatient(service)
        place = one_image(client, client.bucket(), 300)
        first = client.start(place, ClientRequestToken="first")
        assert refused(partial(client.start, place)).response["Error"]["Code"] == "LimitExceededException"
        assert client.start(place, ClientRequestToken="first") == first  # it is no new job
        client.job(first)
        assert client.job(client.start(place))["Status"] == "SUCCEEDED"


def test_a_rate_is_a_rate() -> None:
    now = [0.0]
    throttle = Throttle(2, lambda: now[0])

    def ask() -> type[Fault] | None:
        try:
            throttle.admit("key")
        except Fault as fault:
            return type(fault)
        return None

    over, far_over = ProvisionedThroughputExceeded, Throttling
    assert [ask() for _ in range(6)] == [None, None, over, over, far_over, far_over]
    throttle.admit("another key")
    now[0] += 0.5
    assert [ask() for _ in range(3)] == [None, over, far_over]
    now[0] += 60
    assert [ask() for _ in range(6)] == [None, None, over, over, far_over, far_over]
    for _ in range(1000):
        Throttle(None).admit("key")


AUTO = {"AutoCreate": True}


def test_an_output_bucket_that_becomes_unwritable_fails_the_job(client: Client) -> None:
    bucket, output = client.bucket(), client.bucket()
    place = one_image(client, bucket, 300)
    job_id = client.start(place, output=output)
    until(lambda: client.rekognition.get_media_analysis_job(JobId=job_id)["Status"] == "IN_PROGRESS")
    client.s3.put_bucket_policy(Bucket=output, Policy=policy({"Action": "s3:PutObject"}))
    job = client.job(job_id)
    assert (job["Status"], job["FailureDetails"]["Code"]) == ("FAILED", "ACCESS_DENIED")
    assert job["FailureDetails"]["Message"].endswith("the bucket's policy denies s3:PutObject.")
    with pytest.raises(client.rekognition.exceptions.AccessDeniedException, match="denies s3:PutObject"):
        client.train(client.project(), output, {"Assets": [{"GroundTruthManifest": {"S3Object": place}}]}, AUTO)
    client.s3.delete_bucket_policy(Bucket=output)
    assert client.job(client.start(place, output=output))["Status"] == "SUCCEEDED"


def test_an_output_is_refused_for_the_very_keys_that_would_be_written(client: Client) -> None:
    bucket, output = client.bucket(), client.bucket()
    place = one_image(client, bucket)
    allowed = [f"arn:aws:s3:::{output}/*.json", f"arn:aws:s3:::{output}/*.jsonl"]
    for denied, status in (
        ({"Resource": None, "NotResource": allowed}, "SUCCEEDED"),
        ({"Resource": allowed[0]}, None),
        ({"Resource": allowed[1]}, None),
    ):
        statement = {"Action": "s3:PutObject"} | {name: value for name, value in denied.items() if value}
        client.s3.put_bucket_policy(Bucket=output, Policy=policy(statement))
        if status:
            assert client.job(client.start(place, output=output))["Status"] == status
        else:
            error = refused(partial(client.start, place, output=output)).response["Error"]
            assert error["Code"] == "AccessDeniedException"


def test_an_output_key_is_not_longer_than_a_key_may_be(client: Client) -> None:
    place = one_image(client, client.bucket())
    longest = 1024 - len("/".join(["", "0" * 64, "manifest-summary.json"]))
    assert client.job(client.start(place, prefix="é" * (longest // 2)))["Status"] == "SUCCEEDED"
    error = refused(partial(client.start, place, prefix="é" * (longest // 2 + 1))).response["Error"]
    assert error["Code"] == "InvalidParameterException"
    assert "more than the 1,024 of S3" in error["Message"]


def test_an_output_key_that_no_list_can_hold_is_refused_at_the_start(client: Client) -> None:
    place = one_image(client, client.bucket())
    project, data = client.project(), {"Assets": [{"GroundTruthManifest": {"S3Object": place}}]}
    for prefix in ("out\x01", "out\ufffe"):
        out = {"S3Bucket": place["Bucket"], "S3KeyPrefix": prefix}
        train = partial(
            client.rekognition.create_project_version,
            ProjectArn=project,
            VersionName="v1",
            OutputConfig=out,
            TrainingData=data,
            TestingData=AUTO,
        )
        for ask in (partial(client.start, place, prefix=prefix), train):
            error = refused(ask).response["Error"]
            assert error["Code"] == "InvalidParameterException"
            assert "no control characters" in error["Message"]


def test_results_are_locked_as_their_bucket_says(client: Client) -> None:
    output = "locked-output"
    place = one_image(client, client.bucket())
    client.s3.create_bucket(Bucket=output, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    client.s3.put_object_lock_configuration(
        Bucket=output, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    job = client.job(client.start(place, output=output))
    for member in ("Results", "ManifestSummary"):
        written = job[member]["S3Object"]
        where = {"Bucket": output, "Key": written["Name"], "VersionId": written["Version"]}
        assert client.s3.head_object(**where)["ObjectLockMode"] == "COMPLIANCE"
        with pytest.raises(ClientError, match="AccessDenied"):
            client.s3.delete_object(**where)


def test_an_image_that_may_not_be_read_is_an_error_and_not_safe(client: Client) -> None:
    bucket = client.bucket()
    place = client.manifest(bucket, [client.put(bucket, name, picture(1)) for name in ("secret/a.jpg", "b.jpg")])
    client.s3.put_bucket_policy(
        Bucket=bucket, Policy=policy({"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/secret/*"})
    )
    job = client.job(client.start(place, MinConfidence=0))
    assert [result["source-ref"] for result in client.results(job)] == [f"s3://{bucket}/b.jpg"]
    (error,) = client.summary(job)["errors"]
    assert (error["line-number"], error["code"]) == (1, "INVALID_S3_OBJECT")
    assert "policy denies s3:GetObject" in error["message"]


def test_a_manifest_or_an_image_that_may_not_be_read_is_an_invalid_object(client: Client) -> None:
    bucket = client.bucket()
    place = one_image(client, bucket)
    client.s3.put_bucket_policy(Bucket=bucket, Policy=policy({"Action": "s3:GetObject"}))
    detect = partial(
        client.rekognition.detect_moderation_labels, Image={"S3Object": {"Bucket": bucket, "Name": "a.jpg"}}
    )
    for call in (partial(client.start, place, output=client.bucket()), detect):
        error = refused(call).response["Error"]
        assert error["Code"] == "InvalidS3ObjectException"
        assert error["Message"].endswith("the bucket's policy denies s3:GetObject.")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({}, True),
        ({"Effect": "Allow"}, False),
        ({"Action": ["s3:GetObject", "s3:Put*"]}, True),
        ({"Action": "s3:GetObject"}, False),
        ({"Resource": ["arn:aws:s3:::bucket/other/*"]}, False),
        ({"Resource": "arn:aws:s3:::bucket/results/*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"Service": "rekognition.amazonaws.com"}}, True),
        ({"Principal": {"AWS": "arn:aws:iam::123456789012:user/somebody"}}, False),
        ({"Principal": {"Service": ["lambda.amazonaws.com", "rekognition.amazonaws.com"]}}, True),
        ({"Principal": {"Service": "lambda.amazonaws.com"}}, False),
        ({"NotPrincipal": {"Service": "rekognition.amazonaws.com"}, "Principal": None}, False),
        ({"NotPrincipal": {"AWS": "arn:aws:iam::123456789012:user/somebody"}}, True),
        ({"NotResource": "arn:aws:s3:::bucket/allowed/*"}, True),
        ({"NotResource": "arn:aws:s3:::bucket/results/*"}, False),
        ({"NotAction": "s3:Get*"}, True),
        ({"Action": "S3:putobject"}, True),
        # What most buckets have: nothing without TLS. Nobody here can say whether AWS would see TLS.
        ({"Condition": {"Bool": {"aws:SecureTransport": "false"}}}, False),
    ],
)
def test_a_policy_denies_what_it_says(statement: dict[str, Any], expected: bool) -> None:
    place = "arn:aws:s3:::bucket/results/1.jsonl"
    assert denies(policy(statement).encode(), "s3:PutObject", place) is expected
    assert denies(policy({"Effect": "Allow"}, statement).encode(), "s3:PutObject", place) is expected


def test_a_policy_that_cannot_be_understood_denies() -> None:
    assert not denies(None, "s3:PutObject", "arn:aws:s3:::bucket/a")
    for broken in (b"", b"[]", b'{"Statement": 3}', b'{"Statement": [{"Effect": "Deny"}]}'):
        assert denies(broken, "s3:PutObject", "arn:aws:s3:::bucket/a")
