"""moto's S3 and KMS, made to survive: whatever a request changes is on disk before its client hears of success.

moto keeps buckets and the versions of objects in dictionaries. `DurableS3` notes which buckets a request looks at, and
`_Versions` which objects in them it changes; `commit` then brings the disk in line with the dictionaries, for exactly
these. `load` fills the dictionaries again at the next start.

moto has one S3 and one KMS for the whole process. Each bucket and each key knows the service that it came with, and is
kept on that one's disk.
"""

import re
from collections import defaultdict, deque
from contextvars import ContextVar
from dataclasses import dataclass, field
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
from moto.s3.utils import ARCHIVE_STORAGE_CLASSES, _VersionedKeyStore

from toolkit.service import keyring
from toolkit.service.disk import BucketRow, Disk
from toolkit.service.stored import Bucket, File, VersioningBucket, configure, hide, row_of, settings_of, version_of

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


@dataclass
class _Changes:
    """What one request did. `disk` gets the buckets and KMS keys that it makes.

    Buckets go by their identity: one can be deleted and another made under its name. Of each, `objects` has the names
    that were changed, and under each the files that were written for it.
    """

    disk: Disk
    buckets: dict[int, Bucket] = field(default_factory=dict)
    objects: defaultdict[int, dict[str, set[str]]] = field(default_factory=lambda: defaultdict(dict))
    keys: bool = False


_changes: ContextVar[_Changes | None] = ContextVar("changes", default=None)


class _Versions(_VersionedKeyStore):
    """The objects of one bucket: name to versions, oldest first. Every change that moto makes comes through here."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__()
        self._bucket = bucket

    def setlist(self, key: str, list_: list[Any]) -> None:
        files = _note(self._bucket, key)
        for version in [version for version in list_ if not hasattr(version, "file_id")]:
            _keep(version, self._bucket, files)
            if self._bucket.versioning_status == "Suspended":
                list_ = _as_null(version, list_)
        super().setlist(key, list_)

    def __setitem__(self, key: str, value: Any) -> None:  # delete markers come this way
        self.setlist(key, [*self.getlist(key, []), value])

    def pop(self, key: str) -> None:  # type: ignore[override]
        _note(self._bucket, key)
        if key not in self:
            raise KeyError(key)
        self.setlist(key, [])  # disposes of what can be disposed of; `pop` stumbles over delete markers
        super().pop(key)

    def fill(self, key: str, versions: list[Any]) -> None:
        """Puts in what was read from disk."""
        if versions:
            dict.__setitem__(self, key, versions)
        else:
            dict.pop(self, key, None)


class DurableS3(S3Backend):
    """moto's S3 of one account, which notes what a request changes."""

    _url_module = s3_urls  # moto looks for it beside the class

    def create_bucket(self, bucket_name: str, region_name: str, bucket_namespace: str | None = None) -> Bucket:
        """A new bucket, kept on the disk of the service that was asked."""
        bucket: Bucket = super().create_bucket(bucket_name, region_name, bucket_namespace)
        changes = _changes.get()
        if changes:
            bucket.__class__ = VersioningBucket
            bucket.disk, bucket.saved, bucket.keys = changes.disk, None, _Versions(bucket)
            changes.buckets[id(bucket)] = bucket
        return bucket

    def get_bucket(self, bucket_name: str) -> Bucket:
        """The bucket; whatever is done to its settings comes after this."""
        bucket: Bucket = super().get_bucket(bucket_name)
        changes = _changes.get()
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
        _note(self.get_bucket(bucket_name), key_name).add(version.file_id)
        return version


class DurableKms(KmsBackend):
    """moto's KMS of one account and region, whose keys belong to the service that was asked for them."""

    _url_module = kms_urls

    def create_key(self, *args: Any, **kwargs: Any) -> Any:
        """A new key."""
        key: Any = super().create_key(*args, **kwargs)
        changes = _changes.get()
        if changes:
            key.owner, changes.keys = changes.disk, True
        return key


def begin(disk: Disk, *, keys: bool = False) -> None:
    """From here to `commit`, this thread notes what it changes; KMS keys, where `keys` says so or one is made."""
    _changes.set(_Changes(disk, keys=keys))


def commit() -> None:
    """Writes down what this thread changed since `begin`.

    Raises
    ------
    OSError, sqlite3.Error
        It could not be written; then memory is again as the disk is, except that a KMS key that was made remains.
    """
    changes = _changes.get()
    _changes.set(None)
    if changes is None:
        return
    saved: set[int] = set()
    try:
        if changes.keys:
            keyring.save(changes.disk.directory, changes.disk)
        for number, bucket in changes.buckets.items():
            _save(bucket, changes.objects[number])
            saved.add(number)
    except BaseException:
        for number, bucket in changes.buckets.items():
            if number not in saved:
                _restore(bucket, changes.objects[number])
        raise


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
        bucket.keys = _Versions(bucket)
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


def _note(bucket: Bucket, name: str) -> set[str]:
    """Notes that an object is being changed; the set is for the files that are written for it."""
    changes = _changes.get()
    if changes is None:
        raise RuntimeError(f"s3://{bucket.name}/{name}: changed outside of begin and commit; it would be lost.")
    changes.buckets[id(bucket)] = bucket
    return changes.objects[id(bucket)].setdefault(name, set())


def _keep(version: Any, bucket: Bucket, files: set[str]) -> None:
    """Moves a new version's bytes from memory into a file."""
    kind = type(version)
    if kind is FakeDeleteMarker:
        version.file_id = f"marker-{version.version_id}"
        hide(version, bucket)
    else:
        buffer = version._value_buffer
        version.file_id = bucket.disk.write(buffer)
        _ = version.etag  # computed from the buffer where it was not given
        version._value_buffer = File(bucket.disk.path(version.file_id))
        version.multipart = None  # its parts are in the object now
        buffer.close()
    files.add(version.file_id)


def _as_null(version: Any, versions: list[Any]) -> list[Any]:
    """What is left of an object's versions when a new one comes while versioning is suspended.

    It becomes the version `null`, in the place of the one that was that before.
    """
    others = [other for other in versions if other is not version and other.version_id != "null"]
    version._version_id, version._is_versioned = "null", False
    return [*others, version]


def _save(bucket: Bucket, objects: dict[str, set[str]]) -> None:
    disk: Disk = bucket.disk
    served = s3_backends[bucket.account_id][bucket.partition].buckets.get(bucket.name) is bucket
    settings = settings_of(bucket)
    if served and settings == bucket.saved and not objects:
        return
    unused: set[str] = set()
    with disk.transaction():
        if not served or bucket.saved is None:
            disk.delete_bucket(bucket.name)
        if served and settings != bucket.saved:
            created = bucket.creation_date.isoformat()
            disk.save_bucket(BucketRow(bucket.name, bucket.account_id, bucket.region_name, created, settings))
        for name, files in objects.items():
            now = {version.file_id: version for version in bucket.keys.getlist(name, [])}
            known = disk.ids(bucket.name, name)
            disk.delete_objects(known - now.keys())
            # What another request has added meanwhile is saved as it stands; that request saves it once more.
            for file_id, version in now.items():
                if file_id in files or file_id not in known:
                    disk.save_object(row_of(version, bucket))
            unused |= (known | files) - now.keys()
    bucket.saved = settings
    disk.discard(unused)


def _restore(bucket: Bucket, objects: dict[str, set[str]]) -> None:
    """Makes memory what the disk says: the change that could not be written has not happened."""
    backend = s3_backends[bucket.account_id][bucket.partition]
    rows = {row.name: row for row in bucket.disk.buckets()}
    if bucket.name not in rows:
        backend.buckets.pop(bucket.name, None)
        s3_backends.bucket_accounts.pop(bucket.name, None)
        return
    configure(bucket, rows[bucket.name])
    for name, files in objects.items():
        versions: list[Any] = []
        for row in bucket.disk.objects(bucket.name, name):
            versions.append(version_of(row, bucket, versions))
        bucket.keys.fill(name, versions)
        bucket.disk.discard(files - {version.file_id for version in versions})
    backend.buckets[bucket.name] = bucket
    s3_backends.bucket_accounts[bucket.name] = (bucket.partition, bucket.account_id)
