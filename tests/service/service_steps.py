"""What clients do to buckets, step by step, and what there is afterwards."""

from datetime import UTC, datetime
from typing import Any

from service_client import Client


def versioning(client: Client, bucket: str, status: str) -> None:
    client.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def retention(mode: str, year: int) -> dict[str, Any]:
    return {"Mode": mode, "RetainUntilDate": datetime(year, 1, 1, tzinfo=UTC)}


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
