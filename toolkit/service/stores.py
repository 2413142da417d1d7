"""moto's S3 and KMS as this service has them: durable, and closer to AWS's where a job or a lock depends on it.

moto has one S3 and one KMS for the whole process. Each bucket and each key knows the service that it came with, and is
kept on that one's disk (`durable`). `load` puts them into moto's memory again at the next start.
"""

import re
from collections import defaultdict, deque
from datetime import UTC, datetime
from threading import RLock
from typing import Any, Final

from flask import has_request_context, request
from moto.kms import urls as kms_urls
from moto.kms.models import KmsBackend, kms_backends
from moto.s3 import urls as s3_urls
from moto.s3.exceptions import (
    AccessDeniedByLock,
    InvalidArgumentError,
    InvalidBucketState,
    InvalidObjectState,
    LockNotEnabled,
    MethodNotAllowed,
    MissingKey,
    MissingVersion,
    PreconditionFailed,
    S3ClientError,
)
from moto.s3.models import (
    FakeAcl,
    FakeDeleteMarker,
    FakeGrant,
    FakeGrantee,
    FakeKey,
    FakeMultipart,
    S3Backend,
    s3_backends,
)
from moto.s3.utils import ARCHIVE_STORAGE_CLASSES

from toolkit.service import durable, keyring
from toolkit.service.disk import Disk
from toolkit.service.durable import Versions
from toolkit.service.stored import Bucket, VersioningBucket, configure, version_of

# moto reads the list of an object's versions, adds to it and puts it back: two at once would lose one of two uploads.
_LOCKS: Final = tuple(RLock() for _ in range(64))

_MAX_KEY_BYTES: Final = 1024
_NOT_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_LOCK_HEADERS: Final = {
    "lock_mode": "x-amz-object-lock-mode",
    "lock_until": "x-amz-object-lock-retain-until-date",
    "lock_legal_status": "x-amz-object-lock-legal-hold",
}

# moto remembers every instance of these that ever was, so as to close buffers at the end of a test; a service that runs
# for weeks cannot afford that.
_FORGOTTEN: Final[tuple[Any, ...]] = (FakeKey, FakeDeleteMarker, FakeMultipart, FakeAcl, FakeGrant, FakeGrantee)


class BucketTaken(Exception):
    """Another service of this process serves a bucket of that name."""


class DurableS3(S3Backend):
    """moto's S3 of one account, which notes what a request changes."""

    _url_module = s3_urls  # moto looks for it beside the class

    def create_bucket(self, bucket_name: str, region_name: str, bucket_namespace: str | None = None) -> Bucket:
        """A new bucket, kept on the disk of the service that was asked."""
        bucket: Bucket = super().create_bucket(bucket_name, region_name, bucket_namespace)
        changes = durable.changes()
        if changes:
            bucket.__class__ = VersioningBucket
            bucket.disk, bucket.saved, bucket.keys = changes.disk, None, Versions(bucket)
            changes.buckets[id(bucket)] = bucket
        return bucket

    def get_bucket(self, bucket_name: str) -> Bucket:
        """The bucket; whatever is done to its settings comes after this."""
        bucket: Bucket = super().get_bucket(bucket_name)
        changes = durable.changes()
        if changes and hasattr(bucket, "disk"):
            changes.buckets[id(bucket)] = bucket
        return bucket

    def put_object(self, bucket_name: str, key_name: str, *args: Any, **kwargs: Any) -> FakeKey:
        """Stores an object, one upload to a name at a time, locked as it was asked for or else as its bucket says."""
        check_key(key_name)
        kwargs |= getattr(kwargs.get("multipart"), "lock", {})
        bucket = self.get_bucket(bucket_name)
        # moto itself looks at the default for a PUT only, and not for one that asks for a legal hold.
        if bucket.has_default_lock and not kwargs.get("lock_mode"):
            kwargs |= {"lock_mode": bucket.default_lock_mode, "lock_until": bucket.default_retention()}
        with _LOCKS[hash((bucket_name, key_name)) % len(_LOCKS)]:
            # moto asks this before it gets here, where another upload may have been first.
            new = has_request_context() and request.headers.get("If-None-Match") == "*"
            if new and self.get_object(bucket_name, key_name) is not None:
                raise PreconditionFailed("If-None-Match")
            return super().put_object(bucket_name, key_name, *args, **kwargs)

    def create_multipart_upload(self, bucket_name: str, key_name: str, *args: Any, **kwargs: Any) -> Any:
        """Begins an upload in parts, and notes the lock that is asked for; moto would forget it."""
        check_key(key_name)
        lock = {name: request.headers[header] for name, header in _LOCK_HEADERS.items() if header in request.headers}
        if lock and not self.get_bucket(bucket_name).object_lock_enabled:
            raise LockNotEnabled
        if ("lock_mode" in lock) != ("lock_until" in lock):
            message = "x-amz-object-lock-mode and x-amz-object-lock-retain-until-date go together; give both."
            raise S3ClientError("InvalidArgument", message)
        upload: Any = super().create_multipart_upload(bucket_name, key_name, *args, **kwargs)
        upload.lock = lock
        return upload

    def delete_object(self, bucket_name: str, key_name: str, *args: Any, **kwargs: Any) -> Any:
        """Deletes an object or version, or sets a delete marker."""
        with _LOCKS[hash((bucket_name, key_name)) % len(_LOCKS)]:
            return super().delete_object(bucket_name, key_name, *args, **kwargs)

    def put_bucket_versioning(self, bucket_name: str, status: str) -> None:
        """Enables or suspends versioning; what is locked cannot lose it."""
        if status != "Enabled" and self.get_bucket(bucket_name).object_lock_enabled:
            raise InvalidBucketState(
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
            )
        super().put_bucket_versioning(bucket_name, status)

    def put_object_lock_configuration(self, bucket_name: str, *args: Any, **kwargs: Any) -> None:
        """Has new objects locked; moto would enable suspended versioning for it."""
        if self.get_bucket(bucket_name).versioning_status != "Enabled":
            raise InvalidBucketState("Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
        super().put_object_lock_configuration(bucket_name, *args, **kwargs)

    def restore_object(self, bucket_name: str, key_name: str, days: str | None, _: str | None) -> bool:
        """Brings an archived version back; moto would take the newest, whichever is asked for."""
        version = self._to_change(bucket_name, key_name, request.args.get("versionId"))
        if version.storage_class not in ARCHIVE_STORAGE_CLASSES:
            raise InvalidObjectState(storage_class=version.storage_class)
        again = version.expiry_date is not None
        if days is not None:
            try:
                if int(days) < 1:
                    raise ValueError
                version.restore(int(days))
            except (ValueError, OverflowError) as error:
                message = "Days must be a whole number from 1 up; they end before the year 10000."
                raise InvalidArgumentError(message, "Days", days) from error
        return again

    def put_object_retention(self, bucket_name: str, key_name: str, version_id: str | None, retention: Any) -> None:
        """Locks a version until a time, which only becomes later once it is there to comply with."""
        version = self._to_change(bucket_name, key_name, version_id)
        mode, until = retention
        ends = _time(version.lock_until)
        weaker = mode != "COMPLIANCE" or _time(until) < ends
        if version.lock_mode == "COMPLIANCE" and ends > datetime.now(UTC) and weaker:
            raise AccessDeniedByLock
        super().put_object_retention(bucket_name, key_name, version_id, retention)

    def put_object_legal_hold(self, bucket_name: str, key_name: str, version_id: str | None, status: Any) -> None:
        """Locks a version until it is told otherwise."""
        self._to_change(bucket_name, key_name, version_id)
        super().put_object_legal_hold(bucket_name, key_name, version_id, status)

    def _to_change(self, bucket_name: str, key_name: str, version_id: str | None) -> Any:
        """The version that something is about to be changed about, and which stays in its place."""
        version: Any = self.get_object(bucket_name, key_name, version_id, return_delete_marker=True)
        if version is None:
            raise MissingVersion(key_name, version_id) if version_id else MissingKey(key_name)
        if isinstance(version, FakeDeleteMarker):
            raise MethodNotAllowed(request.method, "DeleteMarker")
        durable.note(self.get_bucket(bucket_name), key_name).add(version.file_id)
        return version


class DurableKms(KmsBackend):
    """moto's KMS of one account and region, whose keys belong to the service that was asked for them."""

    _url_module = kms_urls

    def create_key(self, *args: Any, **kwargs: Any) -> Any:
        """A new key."""
        key: Any = super().create_key(*args, **kwargs)
        changes = durable.changes()
        if changes:
            key.owner, changes.keys = changes.disk, True
        return key


def load(disk: Disk) -> None:
    """Puts all buckets, objects and KMS keys of a disk into moto's memory.

    Raises
    ------
    BucketTaken
        Nothing was put there.
    """
    _install(s3_backends, DurableS3)
    _install(kms_backends, DurableKms)
    for model in _FORGOTTEN:
        model.instances_tracked = deque(maxlen=0)
    rows = disk.buckets()
    for row in rows:
        if row.name in s3_backends.bucket_accounts:
            raise BucketTaken(f"s3://{row.name}: another service of this process has a bucket of that name; stop it.")
    for row in rows:
        bucket: Bucket = VersioningBucket(row.name, row.account, row.region)  # type: ignore[abstract]
        bucket.disk = disk
        bucket.keys = Versions(bucket)
        configure(bucket, row)
        versions: defaultdict[str, list[Any]] = defaultdict(list)
        for found in disk.objects(row.name):
            versions[found.name].append(version_of(found, bucket, versions[found.name]))
        for name, list_ in versions.items():
            bucket.keys.fill(name, list_)
        s3_backends[row.account][bucket.partition].buckets[row.name] = bucket
    keyring.load(disk.directory, disk)


def _install(backends: Any, kind: type[Any]) -> None:
    """Has moto make its backends from this class, and those that it has made already (in a test, say) be of it."""
    backends.backend = kind
    for account in backends.values():
        account.backend = kind
        for backend in account.values():
            backend.__class__ = kind


def unload(disk: Disk) -> None:
    """Takes a disk's buckets and keys out of moto's memory."""
    keyring.unload(disk)
    for backends in s3_backends.values():
        for backend in backends.values():
            for name, bucket in list(backend.buckets.items()):
                if getattr(bucket, "disk", None) is disk:
                    del backend.buckets[name]
                    s3_backends.bucket_accounts.pop(name, None)


def check_key(name: str) -> None:
    """Refuses a key that S3 refuses, or that no list of objects (XML) could hold.

    Raises
    ------
    S3ClientError
    """
    if _NOT_XML.search(name):
        raise S3ClientError("InvalidURI", "A key may hold no control characters here; give another.")
    size = len(name.encode())
    if size > _MAX_KEY_BYTES:
        message = f"A key of {size:,} bytes, more than the {_MAX_KEY_BYTES:,} of S3; give a shorter one."
        raise S3ClientError("KeyTooLongError", message)


def _time(said: str | None) -> datetime:
    """When a retention ends; long ago where there is none."""
    try:
        return datetime.fromisoformat(said or "").replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
