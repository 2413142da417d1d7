import http.client
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from service_client import Client
from service_steps import in_parts, locked_bucket, retention, versioning

from toolkit.service.stored import File


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
