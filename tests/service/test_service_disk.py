"""What kill -9 leaves of S3 and KMS: every bucket, object, version and key that a client was told of."""

import http.client
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from service_client import FULL, SQLITE_FULL, Client, killed, raising

from toolkit.errors import Unreachable
from toolkit.service import LocalService, ServiceProcess
from toolkit.service.disk import Disk
from toolkit.service.stored import File


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


def versioning(client: Client, bucket: str, status: str) -> None:
    client.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


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


def retention(mode: str, year: int) -> dict[str, Any]:
    return {"Mode": mode, "RetainUntilDate": datetime(year, 1, 1, tzinfo=UTC)}


def locks_put_on_later(client: Client) -> None:
    client.s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    for key in ("retained", "held"):
        client.put("locked", key, b"x")
    client.s3.put_object_retention(Bucket="locked", Key="retained", Retention=retention("GOVERNANCE", 2100))
    client.s3.put_object_legal_hold(Bucket="locked", Key="held", LegalHold={"Status": "ON"})


def locked_bucket(client: Client, bucket: str) -> str:
    """A bucket that locks for a day what nobody locks otherwise."""
    client.s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    client.s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    return bucket


def in_parts(client: Client, bucket: str, **lock: Any) -> None:
    upload = client.s3.create_multipart_upload(Bucket=bucket, Key="key", **lock)
    place = {"Bucket": bucket, "Key": "key", "UploadId": upload["UploadId"]}
    part = client.s3.upload_part(**place, PartNumber=1, Body=b"x")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    client.s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})


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


def test_suspending_versioning_takes_no_version_away(client: Client) -> None:
    s3, bucket = client.s3, client.bucket(versioned=True)
    first, second = (s3.put_object(Bucket=bucket, Key="key", Body=body)["VersionId"] for body in (b"1", b"2"))
    versioning(client, bucket, "Suspended")
    for body in (b"null", b"other null"):
        assert "VersionId" not in s3.put_object(Bucket=bucket, Key="key", Body=body)

    def versions() -> list[set[str]]:
        listed = s3.list_object_versions(Bucket=bucket)
        return [{one["VersionId"] for one in listed.get(kind, [])} for kind in ("Versions", "DeleteMarkers")]

    assert versions() == [{first, second, "null"}, set()]
    for version, body in ((first, b"1"), (second, b"2"), ("null", b"other null")):
        assert client.get({"Bucket": bucket, "Name": "key", "Version": version}) == body
        assert s3.head_object(Bucket=bucket, Key="key", VersionId=version)["ContentLength"] == len(body)
    answer = s3.delete_object(Bucket=bucket, Key="key")
    assert (answer["VersionId"], answer["DeleteMarker"]) == ("null", True)
    assert versions() == [{first, second}, {"null"}]
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="key")
    s3.delete_object(Bucket=bucket, Key="key", VersionId="null")
    assert client.get({"Bucket": bucket, "Name": "key"}) == b"2"
    s3.delete_object(Bucket=bucket, Key="key", VersionId=second)
    versioning(client, bucket, "Enabled")
    third = s3.put_object(Bucket=bucket, Key="key", Body=b"3")["VersionId"]
    assert versions() == [{first, third}, set()]


def test_what_is_locked_keeps_its_versions(client: Client) -> None:
    bucket = "locked-for-good"
    client.s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    with pytest.raises(ClientError, match="InvalidBucketState"):
        versioning(client, bucket, "Suspended")
    bucket = client.bucket(versioned=True)
    versioning(client, bucket, "Suspended")
    with pytest.raises(ClientError, match="InvalidBucketState"):
        client.s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    assert client.s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Suspended"


def by_form(client: Client, bucket: str) -> None:
    """Uploads as a web page's form does it."""
    form = client.s3.generate_presigned_post(bucket, "key")
    url = urlsplit(form["url"])
    fields = [(f'name="{name}"', value) for name, value in form["fields"].items()]
    fields.append(('name="file"; filename="a"', "x"))
    parts = [f"--edge\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n" for name, value in fields]
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    connection.request("POST", url.path, "".join(parts) + "--edge--\r\n", headers)
    assert connection.getresponse().status == 204


def test_a_bucket_locks_whatever_way_an_object_comes(client: Client) -> None:
    s3, bucket = client.s3, locked_bucket(client, "locked-by-default")
    until = datetime(2100, 1, 1, tzinfo=UTC)
    asked = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    held = {"ObjectLockLegalHoldStatus": "ON"}
    for upload, mode, hold in (
        (lambda: s3.put_object(Bucket=bucket, Key="key", Body=b"x"), "COMPLIANCE", None),
        (lambda: s3.put_object(Bucket=bucket, Key="key", Body=b"x", **held), "COMPLIANCE", "ON"),
        (lambda: s3.put_object(Bucket=bucket, Key="key", Body=b"x", **asked), "GOVERNANCE", None),
        (lambda: in_parts(client, bucket), "COMPLIANCE", None),
        (lambda: in_parts(client, bucket, **held), "COMPLIANCE", "ON"),
        (lambda: in_parts(client, bucket, **asked), "GOVERNANCE", None),
        (lambda: by_form(client, bucket), "COMPLIANCE", None),
    ):
        upload()
        found = s3.head_object(Bucket=bucket, Key="key")
        assert (found["ObjectLockMode"], found.get("ObjectLockLegalHoldStatus")) == (mode, hold)
        assert (found["ObjectLockRetainUntilDate"] == until) == (mode == "GOVERNANCE")
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.delete_object(Bucket=bucket, Key="key", VersionId=found["VersionId"])


def test_an_upload_in_parts_asks_for_a_whole_lock_where_there_are_locks(client: Client) -> None:
    with pytest.raises(ClientError, match="missing ObjectLockConfiguration"):
        client.s3.create_multipart_upload(Bucket=client.bucket(), Key="key", ObjectLockLegalHoldStatus="ON")
    bucket = locked_bucket(client, "locked-by-halves")
    with pytest.raises(ClientError, match="give both"):
        client.s3.create_multipart_upload(Bucket=bucket, Key="key", ObjectLockMode="GOVERNANCE")


def test_what_is_replaced_while_it_is_read_is_the_old_or_the_new(
    client: Client, impatient: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bucket, read = client.bucket(), File.read
    place = {"Bucket": bucket, "Key": "key"}

    def meanwhile(times: int, change: Callable[..., Any]) -> None:
        """The object changes before each of the next reads."""
        client.put(bucket, "key", b"old")
        left = iter(range(times))

        def changed(file: File, size: int = -1) -> bytes:
            if next(left, None) is not None:
                change()
            return read(file, size)

        monkeypatch.setattr(File, "read", changed)

    def replace() -> None:
        client.put(bucket, "key", b"newer")

    meanwhile(2, replace)
    answer = impatient.get_object(**place)
    assert (answer["Body"].read(), answer["ContentLength"]) == (b"newer", 5)
    meanwhile(2, replace)
    impatient.copy_object(Bucket=bucket, Key="copy", CopySource=place)
    assert client.get({"Bucket": bucket, "Name": "copy"}) == b"newer"
    meanwhile(1, lambda: client.s3.delete_object(**place))
    with pytest.raises(client.s3.exceptions.NoSuchKey):
        impatient.get_object(**place)
    assert not caplog.records
    meanwhile(100, replace)
    with pytest.raises(ClientError, match="could not be read from disk"):
        impatient.get_object(**place)


def test_the_version_that_is_named_is_restored(client: Client) -> None:
    s3, bucket = client.s3, client.bucket(versioned=True)
    first, second = (
        s3.put_object(Bucket=bucket, Key="cold", Body=body, StorageClass="GLACIER")["VersionId"]
        for body in (b"1", b"2")
    )
    for days in (0, -1, 99_999_999, 10**30):
        with pytest.raises(ClientError, match="Days must be a whole number"):
            s3.restore_object(Bucket=bucket, Key="cold", RestoreRequest={"Days": days})
    s3.restore_object(Bucket=bucket, Key="cold", VersionId=first, RestoreRequest={"Days": 2})
    assert "Restore" in s3.head_object(Bucket=bucket, Key="cold", VersionId=first)
    assert "Restore" not in s3.head_object(Bucket=bucket, Key="cold", VersionId=second)
    for place, code in (({"Key": "none"}, "NoSuchKey"), ({"Key": "cold", "VersionId": "none"}, "NoSuchVersion")):
        with pytest.raises(ClientError, match=code):
            s3.restore_object(Bucket=bucket, **place, RestoreRequest={"Days": 2})


def test_only_a_version_that_is_there_can_be_locked(client: Client) -> None:
    s3, bucket = client.s3, "locks-for-what-is-there"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    client.put(bucket, "deleted", b"x")
    marker = s3.delete_object(Bucket=bucket, Key="deleted")["VersionId"]
    for place, code in (
        ({"Key": "none"}, "NoSuchKey"),
        ({"Key": "deleted", "VersionId": "none"}, "NoSuchVersion"),
        ({"Key": "deleted"}, "MethodNotAllowed"),
        ({"Key": "deleted", "VersionId": marker}, "MethodNotAllowed"),
    ):
        with pytest.raises(ClientError, match=code):
            s3.put_object_legal_hold(Bucket=bucket, **place, LegalHold={"Status": "ON"})
        with pytest.raises(ClientError, match=code):
            s3.put_object_retention(Bucket=bucket, **place, Retention=retention("GOVERNANCE", 2100))


def test_compliance_is_not_weakened(client: Client) -> None:
    s3, bucket = client.s3, "compliance"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    version = s3.put_object(Bucket=bucket, Key="key", Body=b"x")["VersionId"]
    for weaker in (retention("COMPLIANCE", 2090), retention("GOVERNANCE", 2110), {}):
        s3.put_object_retention(Bucket=bucket, Key="key", Retention=retention("COMPLIANCE", 2100))
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object_retention(Bucket=bucket, Key="key", Retention=weaker, BypassGovernanceRetention=True)
    s3.put_object_retention(Bucket=bucket, Key="key", Retention=retention("COMPLIANCE", 2101))
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key="key", VersionId=version, BypassGovernanceRetention=True)


def test_a_key_that_no_list_can_hold_is_refused(client: Client) -> None:
    s3, bucket = client.s3, client.bucket(versioned=True)
    kept = ["k" * 1024, "é" * 512, "tab	and"]
    for key in kept:
        client.put(bucket, key, b"x")
    place = {"Bucket": bucket, "Key": kept[0]}
    for key, code in (
        ("a", "InvalidURI"),
        ("a￾", "InvalidURI"),
        ("k" * 1025, "KeyTooLongError"),
        ("é" * 513, "KeyTooLongError"),
    ):
        with pytest.raises(ClientError, match=code):
            client.put(bucket, key, b"x")
        with pytest.raises(ClientError, match=code):
            s3.create_multipart_upload(Bucket=bucket, Key=key)
        with pytest.raises(ClientError, match=code):
            s3.copy_object(Bucket=bucket, Key=key, CopySource=place)
    assert sorted(one["Key"] for one in s3.list_object_versions(Bucket=bucket)["Versions"]) == sorted(kept)


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


@pytest.fixture
def impatient(client: Client) -> Any:
    """An S3 client that does not try again."""
    return client.session.client("s3", config=Config(retries={"max_attempts": 0}))


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
