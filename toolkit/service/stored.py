"""What is kept of moto's buckets and objects, and how moto gets it back."""

import datetime as dt
from pathlib import Path
from typing import Any, Final

from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey
from moto.utilities.utils import get_partition

from toolkit.service.disk import BucketRow, ObjectRow

Bucket = Any
"""A FakeBucket of moto's with two things more: the `disk` that it is kept on, and its settings as they were `saved`."""

_BUCKET_SETTINGS: Final = (
    "versioning_status",
    "encryption",
    "object_lock_enabled",
    "default_lock_mode",
    "default_lock_days",
    "default_lock_years",
)
_OBJECT_DETAILS: Final = (
    "_storage_class",
    "_is_versioned",
    "bucket_key_enabled",
    "checksum_algorithm",
    "checksum_value",
    "checksum_type",
    "checksum_parts",
    "lock_mode",
    "lock_legal_status",
    "lock_until",
    "website_redirect_location",
)


class VersioningBucket(FakeBucket):
    """moto's bucket, which keeps its versions while versioning is suspended, too."""

    @property
    def is_versioned(self) -> bool:
        """Whether what is deleted or replaced here stays as a version."""
        return self.versioning_status is not None


class Replaced(FileNotFoundError):
    """The bytes are gone: since their object was found, it was replaced or deleted."""


class File:
    """Stands in for the buffer in which moto keeps an object's bytes: reads them from their file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def seek(self, position: int) -> None:
        """Where to read next."""
        self._at = position

    def read(self, size: int = -1) -> bytes:
        """The next bytes, or all that are left.

        Raises
        ------
        Replaced
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                data = file.read(size)
        except FileNotFoundError as error:
            raise Replaced(*error.args) from error
        self._at += len(data)
        return data

    def close(self) -> None:
        """Nothing is open between two reads."""


def settings_of(bucket: Bucket) -> dict[str, Any]:
    """Those of a bucket's settings that are kept."""
    policy = bucket.policy.decode("utf-8") if bucket.policy else None
    return {name: getattr(bucket, name) for name in _BUCKET_SETTINGS} | {"policy": policy}


def configure(bucket: Bucket, row: BucketRow) -> None:
    """Gives a bucket the settings that were kept."""
    bucket.creation_date = dt.datetime.fromisoformat(row.created)
    for name in _BUCKET_SETTINGS:
        setattr(bucket, name, row.settings[name])
    bucket.policy = row.settings["policy"].encode("utf-8") if row.settings["policy"] else None
    bucket.saved = row.settings


def row_of(version: Any, bucket: Bucket) -> ObjectRow:
    """What is kept of a version; its bytes are in their file already."""
    place = (version.file_id, bucket.name, version.name, version._version_id)
    modified = version.last_modified.isoformat()
    if isinstance(version, FakeDeleteMarker):
        return ObjectRow(*place, True, modified, 0, None, None, None, {}, {})
    details = {name: getattr(version, name) for name in _OBJECT_DETAILS}
    # Until when what was archived is back.
    details["_expiry"] = version._expiry.isoformat() if version._expiry else None
    metadata = {str(name): str(value) for name, value in version.metadata.items()}
    etag = version.etag.strip('"')
    return ObjectRow(
        *place, False, modified, version.size, etag, version.encryption, version.kms_key_id, metadata, details
    )


def hide(marker: Any, bucket: Bucket) -> None:
    """Has a delete marker point at no bytes: moto copies what it points at, and that can be deleted before it."""
    if isinstance(marker.key, FakeKey):
        marker.key = _without_bytes(marker.name, bucket)


def _without_bytes(name: str, bucket: Bucket, etag: str | None = None) -> Any:
    partition = get_partition(bucket.region_name)
    return FakeKey(name, b"", bucket.account_id, partition, etag=etag, bucket_name=bucket.name)


def version_of(row: ObjectRow, bucket: Bucket, older: list[Any]) -> Any:
    """What moto keeps of a version: a FakeKey, or a FakeDeleteMarker, which points at the version before it."""
    key = _without_bytes(row.name, bucket, row.etag)
    if row.deletes:
        marker: Any = FakeDeleteMarker(older[-1] if older else key)
        hide(marker, bucket)
        marker.name, marker._version_id, marker.file_id = row.name, row.version, row.id
        marker.last_modified = dt.datetime.fromisoformat(row.modified)
        return marker
    key._version_id, key.file_id, key.contentsize = row.version, row.id, row.size
    key.last_modified = dt.datetime.fromisoformat(row.modified)
    key.encryption, key.kms_key_id = row.encryption, row.kms_key
    for name, value in row.details.items():
        setattr(key, name, value)
    key._expiry = dt.datetime.fromisoformat(key._expiry) if key._expiry else None
    key._metadata.update(row.metadata)
    key.acl = bucket.acl
    key._value_buffer = File(bucket.disk.path(row.id))
    return key
