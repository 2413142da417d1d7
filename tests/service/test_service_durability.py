"""What kill -9 leaves: every bucket, object, version and key that a client was told of, and jobs that go on."""

import json
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from service_client import Client, picture

from toolkit.service import ServiceProcess


def killed(service: ServiceProcess) -> None:
    """kill -9, and waits until the process is gone."""
    process = service._process
    assert process
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    service.stop()


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what belongs to the request; its HTTP headers count, but for these two."""
    headers = dict(answer.pop("ResponseMetadata")["HTTPHeaders"])
    for name in ("date", "x-amzn-requestid"):
        headers.pop(name, None)
    body = answer.pop("Body", None)
    return answer | {"headers": headers} | ({"bytes": body.read()} if body else {})


def everything(client: Client) -> dict[str, Any]:
    """All that a client can ask about buckets, objects and versions."""
    s3, found = client.s3, {}
    found["buckets"] = [(one["Name"], one["CreationDate"]) for one in s3.list_buckets()["Buckets"]]
    for name, _ in found["buckets"]:
        listed = s3.list_object_versions(Bucket=name)
        found[name] = [
            s3.get_bucket_versioning(Bucket=name).get("Status"),
            s3.get_bucket_location(Bucket=name)["LocationConstraint"],
            [without_metadata(s3.list_objects_v2(Bucket=name))],
            without_metadata(listed),
        ]
        for version in listed.get("Versions", []):
            place = {"Bucket": name, "Key": version["Key"], "VersionId": version["VersionId"]}
            found[name].append(without_metadata(s3.get_object(**place)))
    return found


def overwrite_and_delete(client: Client) -> None:
    bucket = client.bucket()
    for body in (b"first", b"second"):
        client.put(bucket, "overwritten", body)
    client.put(bucket, "deleted", b"x")
    client.s3.delete_object(Bucket=bucket, Key="deleted")
    for number in range(3):
        client.put(bucket, f"many/{number}", b"x")
    objects = [{"Key": f"many/{number}"} for number in range(2)]
    client.s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    client.put(bucket, "../../outside", b"a name is not a path")
    client.put(bucket, "empty", b"")


def versions_and_markers(client: Client) -> None:
    bucket = client.bucket(versioned=True)
    for body in (b"one", b"two", b"three"):
        client.put(bucket, "key", body)
    second = client.s3.list_object_versions(Bucket=bucket)["Versions"][1]["VersionId"]
    client.s3.delete_object(Bucket=bucket, Key="key", VersionId=second)
    client.s3.delete_object(Bucket=bucket, Key="key")
    client.put(bucket, "back", b"x")
    marker = client.s3.delete_object(Bucket=bucket, Key="back")["VersionId"]
    client.s3.delete_object(Bucket=bucket, Key="back", VersionId=marker)
    gone = client.s3.put_object(Bucket=bucket, Key="gone", Body=b"x")["VersionId"]
    client.s3.delete_object(Bucket=bucket, Key="gone", VersionId=gone)


def a_key_from_before_versioning(client: Client) -> None:
    bucket = client.bucket()
    client.put(bucket, "key", b"null version")
    client.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put(bucket, "key", b"a version")


def metadata_and_copies(client: Client) -> None:
    bucket, other = client.bucket(), client.bucket()
    client.s3.put_object(
        Bucket=bucket,
        Key="photo.jpg",
        Body=b"jpeg",
        ContentType="image/jpeg",
        CacheControl="max-age=1",
        Metadata={"camera": "film", "roll": "7"},
        StorageClass="STANDARD_IA",
        ChecksumAlgorithm="SHA256",
    )
    place = {"Bucket": bucket, "Key": "photo.jpg"}
    client.s3.copy_object(Bucket=other, Key="copy.jpg", CopySource=place)
    client.s3.copy_object(
        Bucket=bucket, Key="photo.jpg", CopySource=place, MetadataDirective="REPLACE", Metadata={"now": "other"}
    )


def a_multipart_upload(client: Client) -> None:
    bucket = client.bucket()
    upload = client.s3.create_multipart_upload(
        Bucket=bucket, Key="large", Metadata={"parts": "2"}, ContentType="video/mp4"
    )
    place = {"Bucket": bucket, "Key": "large", "UploadId": upload["UploadId"]}
    parts = []
    for number, body in ((1, b"1" * (5 << 20)), (2, b"2")):
        part = client.s3.upload_part(**place, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    client.s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})


def a_default_encryption(client: Client) -> None:
    bucket = client.bucket()
    key = client.kms.create_key()["KeyMetadata"]["Arn"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    client.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    client.put(bucket, "secret", b"x")


def a_bucket_made_again(client: Client) -> None:
    bucket = client.bucket()
    client.put(bucket, "old", b"x")
    client.s3.delete_object(Bucket=bucket, Key="old")
    client.s3.delete_bucket(Bucket=bucket)
    client.s3.create_bucket(Bucket=bucket)
    client.put(bucket, "new", b"x")
    client.s3.delete_bucket(Bucket=client.bucket())


STEPS = (
    overwrite_and_delete,
    versions_and_markers,
    a_key_from_before_versioning,
    metadata_and_copies,
    a_multipart_upload,
    a_default_encryption,
    a_bucket_made_again,
)


def test_what_a_client_was_told_of_is_there_after_a_kill(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path).start()
    client = Client(service.endpoint_url)
    for step in STEPS:
        step(client)
    Client(service.endpoint_url, "eu-west-1").bucket()
    before = everything(client)
    killed(service)

    with ServiceProcess(tmp_path) as service:
        client = Client(service.endpoint_url)
        assert everything(client) == before
        bucket = before["buckets"][0][0]
        client.put(bucket, "overwritten", b"third")  # and it goes on
        objects = client.s3.list_objects_v2(Bucket=bucket)["Contents"]
        assert [one["Key"] for one in objects] == ["../../outside", "empty", "many/2", "overwritten"]
    files = [path for path in (tmp_path / "objects").glob("*/*") if path.is_file()]
    versions = sum(len(found[3].get("Versions", [])) for name, found in before.items() if name != "buckets")
    assert len(files) == versions  # nothing that was deleted or replaced is left
    assert all(len(path.name) == 32 for path in files)


def test_kms_keys_survive_and_only_their_owner_may_read_them(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path).start()
    kms = Client(service.endpoint_url).kms
    key = kms.create_key(Description="results", Tags=[{"TagKey": "team", "TagValue": "safety"}])["KeyMetadata"]
    kms.create_alias(AliasName="alias/results", TargetKeyId=key["KeyId"])
    kms.create_grant(KeyId=key["KeyId"], GranteePrincipal="arn:aws:iam::123456789012:user/a", Operations=["Decrypt"])
    disabled = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=disabled)
    dying = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=dying, PendingWindowInDays=7)
    secret = kms.encrypt(KeyId="alias/results", Plaintext=b"hidden", EncryptionContext={"a": "b"})["CiphertextBlob"]
    signed = {}
    for spec, algorithm in (("RSA_2048", "RSASSA_PSS_SHA_256"), ("ECC_NIST_P384", "ECDSA_SHA_384")):
        signer = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec=spec)["KeyMetadata"]["KeyId"]
        signed[signer] = {"KeyId": signer, "Message": b"text", "SigningAlgorithm": algorithm}
        signed[signer]["Signature"] = kms.sign(**signed[signer])["Signature"]

    def described() -> list[Any]:
        ids = [one["KeyId"] for one in kms.list_keys()["Keys"]]
        return [
            [kms.describe_key(KeyId=one)["KeyMetadata"] for one in ids],
            [kms.list_aliases(KeyId=one)["Aliases"] for one in ids],
            [kms.list_grants(KeyId=one)["Grants"] for one in ids],
            [kms.list_resource_tags(KeyId=one)["Tags"] for one in ids],
        ]

    before = described()
    killed(service)
    assert (tmp_path / "kms.json").stat().st_mode & 0o777 == 0o600
    with ServiceProcess(tmp_path) as service:
        kms = Client(service.endpoint_url).kms
        assert described() == before
        assert kms.decrypt(CiphertextBlob=secret, EncryptionContext={"a": "b"})["Plaintext"] == b"hidden"
        for signature in signed.values():
            assert kms.verify(**signature)["SignatureValid"]


IMAGES = 400
KILLS = 10


@pytest.mark.slow
def test_ten_kills_do_not_change_a_byte(tmp_path: Path) -> None:
    chance = random.Random(7)
    service = ServiceProcess(tmp_path).start()
    client = Client(service.endpoint_url)
    bucket = client.bucket(versioned=True)
    refs = [client.put(bucket, f"{number}.jpg", picture(number, size=(96, 96))) for number in range(IMAGES)]
    for number in range(5, IMAGES, 37):
        client.put(bucket, f"{number}.jpg", b"not an image")
    place = client.manifest(bucket, [*refs, refs[3], f"s3://{bucket}/gone.jpg"])

    began = time.monotonic()
    undisturbed = client.job(client.start(place, MinConfidence=0))
    seconds = time.monotonic() - began
    expected = client.get(undisturbed["Results"]["S3Object"])
    summary = client.get(undisturbed["ManifestSummary"]["S3Object"])

    disturbed = client.start(place, MinConfidence=0, ClientRequestToken="once")
    client.s3.delete_object(Bucket=bucket, Key=place["Name"])  # the job has its own copy, or a version of it
    seen = []
    for _ in range(KILLS):
        threading.Event().wait(chance.uniform(0, seconds / KILLS * 1.5))
        killed(service)
        service.start()
        client = Client(service.endpoint_url)
        job = client.rekognition.get_media_analysis_job(JobId=disturbed)
        seen.append((job["Status"], job["ResponseMetadata"]["HTTPHeaders"]["x-modkit-progress"]))
    job = client.job(disturbed)
    assert len({progress for _, progress in seen}) > 3, seen  # it was killed while it worked, and got on in between
    assert client.get(job["Results"]["S3Object"]) == expected
    assert client.get(job["ManifestSummary"]["S3Object"]) == summary
    lines = [json.loads(line)["source-ref"] for line in expected.splitlines()]
    bad = set(range(5, IMAGES, 37))
    assert lines == [*(ref for number, ref in enumerate(refs) if number not in bad), refs[3]]
    written = client.s3.list_object_versions(Bucket=bucket, Prefix=f"{disturbed}/")["Versions"]
    assert len(written) == 2  # results and summary, each written once
    service.stop()
    assert not list((tmp_path / "jobs").glob("*"))
