"""What a request changes in moto's memory is on disk before its client hears of success.

moto keeps buckets and the versions of objects in dictionaries. `stores` notes which buckets a request looks at, and
`Versions` which objects in them it changes; `commit` then brings the disk in line with the dictionaries, for exactly
these.
"""

from collections import defaultdict
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from moto.s3.models import FakeDeleteMarker, s3_backends
from moto.s3.utils import _VersionedKeyStore

from toolkit.service import keyring
from toolkit.service.disk import BucketRow, Disk
from toolkit.service.stored import Bucket, File, configure, hide, row_of, settings_of, version_of


@dataclass
class Changes:
    """What one request did. `disk` gets the buckets and KMS keys that it makes.

    Buckets go by their identity: one can be deleted and another made under its name. Of each, `objects` has the names
    that were changed, and under each the files that were written for it.
    """

    disk: Disk
    buckets: dict[int, Bucket] = field(default_factory=dict)
    objects: defaultdict[int, dict[str, set[str]]] = field(default_factory=lambda: defaultdict(dict))
    keys: bool = False


_changes: ContextVar[Changes | None] = ContextVar("changes", default=None)


class Versions(_VersionedKeyStore):
    """The objects of one bucket: name to versions, oldest first. Every change that moto makes comes through here."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__()
        self._bucket = bucket

    def setlist(self, key: str, list_: list[Any]) -> None:
        """Puts these versions in the place of those that there were."""
        files = note(self._bucket, key)
        for version in [version for version in list_ if not hasattr(version, "file_id")]:
            _keep(version, self._bucket, files)
            if self._bucket.versioning_status == "Suspended":
                list_ = _as_null(version, list_)
        super().setlist(key, list_)

    def __setitem__(self, key: str, value: Any) -> None:  # delete markers come this way
        self.setlist(key, [*self.getlist(key, []), value])

    def pop(self, key: str) -> None:  # type: ignore[override]
        """Takes an object out, with all of its versions."""
        note(self._bucket, key)
        if key not in self:
            raise KeyError(key)
        self.setlist(key, [])  # disposes of what can be disposed of; `pop` stumbles over delete markers
        super().pop(key)

    def fill(self, key: str, versions: list[Any]) -> None:
        """Puts in what was read from disk, which is no change."""
        if versions:
            dict.__setitem__(self, key, versions)
        else:
            dict.pop(self, key, None)


def changes() -> Changes | None:
    """What this thread has changed since `begin`; None where there was none."""
    return _changes.get()


def begin(disk: Disk, *, keys: bool = False) -> None:
    """From here to `commit`, this thread notes what it changes; KMS keys, where `keys` says so or one is made."""
    _changes.set(Changes(disk, keys=keys))


def commit() -> None:
    """Writes down what this thread changed since `begin`.

    Raises
    ------
    OSError, sqlite3.Error
        It could not be written; then memory is again as the disk is, except that a KMS key that was made remains.
    """
    made = changes()
    _changes.set(None)
    if made is None:
        return
    saved: set[int] = set()
    try:
        if made.keys:
            keyring.save(made.disk.directory, made.disk)
        for number, bucket in made.buckets.items():
            _save(bucket, made.objects[number])
            saved.add(number)
    except BaseException:
        for number, bucket in made.buckets.items():
            if number not in saved:
                _restore(bucket, made.objects[number])
        raise


def note(bucket: Bucket, name: str) -> set[str]:
    """Notes that an object is being changed; the set is for the files that are written for it."""
    made = changes()
    if made is None:
        raise RuntimeError(f"s3://{bucket.name}/{name}: changed outside of begin and commit; it would be lost.")
    made.buckets[id(bucket)] = bucket
    return made.objects[id(bucket)].setdefault(name, set())


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
