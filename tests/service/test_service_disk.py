import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from service_client import FULL, SQLITE_FULL, Client, killed, raising
from service_steps import in_parts, locked_bucket, retention, versioning

from toolkit.errors import Unreachable
from toolkit.service import LocalService, ServiceProcess
from toolkit.service.disk import Disk


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what belongs to the request; its HTTP headers count, but for these two."""
    headers = dict(answer.pop("ResponseMetadata")["HTTPHeaders"])
    for name in ("date", "x-amzn-requestid"):
        headers.pop(name, None)
    body = answer.pop("Body", None)
    return answer | {"headers": headers} | ({"bytes": body.read()} if body else {})


def everything(client: Client) -> dict[str, Any]:
    """All that a client can ask about buckets, objects and versions."""
    s3 = client.s3
    found: dict[str, Any] = {}
    found["buckets"] = [(one["Name"], one["CreationDate"]) for one in s3.list_buckets()["Buckets"]]
    return found | {name: everything_in(client, name) for name, _ in found["buckets"]}


def everything_in(client: Client, bucket: str) -> list[Any]:
    s3 = client.s3
    listed = s3.list_object_versions(Bucket=bucket)
    found = [
        s3.get_bucket_versioning(Bucket=bucket).get("Status"),
        s3.get_bucket_location(Bucket=bucket)["LocationConstraint"],
        without_metadata(s3.list_objects_v2(Bucket=bucket)),
        without_metadata(listed),
    ]
    for version in listed.get("Versions", []):
        place = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        found.append(without_metadata(s3.get_object(**place)))
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
    hidden = client.s3.put_object(Bucket=bucket, Key="hidden", Body=b"x")["VersionId"]
    client.s3.delete_object(Bucket=bucket, Key="hidden")
    client.s3.delete_object(Bucket=bucket, Key="hidden", VersionId=hidden)
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


def a_suspended_versioning(client: Client) -> None:
    bucket = client.bucket(versioned=True)
    for key in ("replaced", "deleted"):
        client.put(bucket, key, b"a version")
    versioning(client, bucket, "Suspended")
    client.put(bucket, "replaced", b"null version")
    client.put(bucket, "replaced", b"null version again")
    client.s3.delete_object(Bucket=bucket, Key="deleted")
    other = client.bucket(versioned=True)
    versioning(client, other, "Suspended")
    client.put(other, "deleted", b"x")
    client.s3.delete_object(Bucket=other, Key="deleted")


def an_archive(client: Client) -> None:
    bucket = client.bucket()
    client.s3.put_object(Bucket=bucket, Key="cold", Body=b"x", StorageClass="DEEP_ARCHIVE")
    client.s3.restore_object(Bucket=bucket, Key="cold", RestoreRequest={"Days": 2})


def locks_put_on_later(client: Client) -> None:
    client.s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    for key in ("retained", "held"):
        client.put("locked", key, b"x")
    client.s3.put_object_retention(Bucket="locked", Key="retained", Retention=retention("GOVERNANCE", 2100))
    client.s3.put_object_legal_hold(Bucket="locked", Key="held", LegalHold={"Status": "ON"})


def locks_of_an_upload_in_parts(client: Client) -> None:
    until = datetime(2100, 1, 1, tzinfo=UTC)
    bucket = locked_bucket(client, "locked-in-parts")
    in_parts(client, bucket)
    in_parts(client, bucket, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)


STEPS = (
    overwrite_and_delete,
    versions_and_markers,
    a_key_from_before_versioning,
    metadata_and_copies,
    a_multipart_upload,
    a_default_encryption,
    a_bucket_made_again,
    a_suspended_versioning,
    an_archive,
    locks_put_on_later,
    locks_of_an_upload_in_parts,
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


@pytest.mark.parametrize(
    ("where", "error"), [("write", FULL), ("save_object", SQLITE_FULL), ("delete_objects", SQLITE_FULL)]
)
def test_what_cannot_be_written_is_refused_and_changes_nothing(
    client: Client, impatient: Any, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception
) -> None:
    for versioned in (False, True):
        bucket = client.bucket(versioned=versioned)
        client.s3.put_object(Bucket=bucket, Key="key", Body=b"old", Metadata={"a": "b"})
        before = everything_in(client, bucket)
        with monkeypatch.context() as patch:
            patch.setattr(Disk, where, raising(error))
            for key in ("key", "new"):
                with pytest.raises(ClientError, match="could not be kept on disk"):
                    impatient.put_object(Bucket=bucket, Key=key, Body=b"x")
            if where == "delete_objects":
                with pytest.raises(ClientError, match="could not be kept on disk"):
                    impatient.delete_object(Bucket=bucket, Key="key")
        assert everything_in(client, bucket) == before
        client.put(bucket, "key", b"new")
        assert client.get({"Bucket": bucket, "Name": "key"}) == b"new"


def test_a_bucket_that_cannot_be_written_down_is_not_there(
    client: Client, impatient: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = client.bucket()
    with monkeypatch.context() as patch:
        patch.setattr(Disk, "save_bucket", raising(SQLITE_FULL))
        with pytest.raises(ClientError, match="could not be kept on disk"):
            impatient.create_bucket(Bucket="unwritten")
        with pytest.raises(ClientError, match="could not be kept on disk"):
            impatient.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert "Status" not in client.s3.get_bucket_versioning(Bucket=bucket)
    with monkeypatch.context() as patch:
        patch.setattr(Disk, "delete_bucket", raising(SQLITE_FULL))
        with pytest.raises(ClientError, match="could not be kept on disk"):
            impatient.delete_bucket(Bucket=bucket)
    client.put(bucket, "key", b"x")
    client.s3.create_bucket(Bucket="unwritten")


def test_two_services_of_a_process_keep_each_its_own(tmp_path: Path) -> None:
    with LocalService(tmp_path / "one") as one, LocalService(tmp_path / "two") as two:
        first, second = Client(one.endpoint_url), Client(two.endpoint_url)
        bucket = first.bucket()
        second.put(bucket, "key", b"through the other one")
        key = second.kms.create_key()["KeyMetadata"]["KeyId"]
        assert first.kms.describe_key(KeyId=key)
        shutil.copytree(tmp_path / "one", tmp_path / "copy")
        with pytest.raises(Unreachable, match="another service of this process"):
            LocalService(tmp_path / "copy").start()
    with LocalService(tmp_path / "two") as two:
        second = Client(two.endpoint_url)
        assert bucket not in [found["Name"] for found in second.s3.list_buckets()["Buckets"]]
        assert second.kms.describe_key(KeyId=key)
    with LocalService(tmp_path / "one") as one:
        first = Client(one.endpoint_url)
        assert first.get({"Bucket": bucket, "Name": "key"}) == b"through the other one"
        with pytest.raises(ClientError):
            first.kms.describe_key(KeyId=key)


def test_uploads_to_one_name_at_once_all_become_versions(client: Client) -> None:
    bucket = client.bucket(versioned=True)
    with ThreadPoolExecutor(8) as threads:
        puts = [
            threads.submit(client.s3.put_object, Bucket=bucket, Key="key", Body=b"%d" % number) for number in range(64)
        ]
    told = {put.result()["VersionId"] for put in puts}
    assert told == {one["VersionId"] for one in client.s3.list_object_versions(Bucket=bucket)["Versions"]}
