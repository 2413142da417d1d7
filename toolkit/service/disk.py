"""S3 on disk: the bytes of each object in a file, everything else about objects and buckets in SQLite.

What a method has written survives kill -9 and a power cut when the method returns. File names are random ids, never
something that a client chose.
"""

import json
import os
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import IO, Any, Final

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, created TEXT NOT NULL, settings TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, bucket TEXT NOT NULL, name TEXT NOT NULL,
    version TEXT, deletes INTEGER NOT NULL, modified TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT,
    encryption TEXT, kms_key TEXT, metadata TEXT NOT NULL, details TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_of ON objects (bucket, name);
"""
_COLUMNS: Final = "id, bucket, name, version, deletes, modified, size, etag, encryption, kms_key, metadata, details"
_SAVE: Final = (
    f"INSERT INTO objects ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  (our own words)
    " ON CONFLICT (id) DO UPDATE SET modified = excluded.modified, etag = excluded.etag,"
    " encryption = excluded.encryption, kms_key = excluded.kms_key, metadata = excluded.metadata,"
    " details = excluded.details"
)


@dataclass(frozen=True)
class BucketRow:
    """One bucket; `settings` are those of moto's attributes that are kept, as JSON can say them."""

    name: str
    account: str
    region: str
    created: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class ObjectRow:
    """One version of one object, or a delete marker (`deletes`), which has no file and no etag."""

    id: str
    bucket: str
    name: str
    version: str | None
    deletes: bool
    modified: str
    size: int
    etag: str | None
    encryption: str | None
    kms_key: str | None
    metadata: dict[str, str]
    details: dict[str, Any]


class Disk:
    """One service's buckets and objects.

    Parameters
    ----------
    directory
        Gets `objects.sqlite` and `objects/`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._folder = directory / "objects"
        self._folder.mkdir(exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(directory / "objects.sqlite", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_TABLES)
        self._sweep()

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._db.close()

    # -- bytes --------------------------------------------------------------------------------------------------------

    def path(self, object_id: str) -> Path:
        """The file of an object."""
        return self._folder / object_id[:2] / object_id

    def write(self, source: IO[bytes]) -> str:
        """Copies a stream from its beginning into a new file; the id under which it lies.

        Raises
        ------
        OSError
            The disk is full or broken; nothing is left behind.
        """
        object_id = secrets.token_hex(16)
        path = self.path(object_id)
        path.parent.mkdir(exist_ok=True)
        source.seek(0)
        try:
            with path.open("xb") as file:
                shutil.copyfileobj(source, file)
                file.flush()
                os.fsync(file.fileno())
            sync_folder(path.parent)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return object_id

    def discard(self, object_ids: Iterable[str]) -> None:
        """Deletes files that no row names any more."""
        for object_id in object_ids:
            self.path(object_id).unlink(missing_ok=True)

    def _sweep(self) -> None:
        # Written by a process that was killed before it had named them in the database.
        known = {row["id"] for row in self._db.execute("SELECT id FROM objects")}
        self.discard(path.name for path in self._folder.glob("??/*") if path.name not in known)

    # -- rows ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is done inside, or nothing."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def buckets(self) -> list[BucketRow]:
        """All buckets, oldest first."""
        with self._lock:
            rows = self._db.execute("SELECT * FROM buckets ORDER BY created").fetchall()
        return [BucketRow(**(dict(row) | {"settings": json.loads(row["settings"])})) for row in rows]

    def save_bucket(self, row: BucketRow) -> None:
        """Adds a bucket, or changes its settings."""
        self._do(
            "INSERT INTO buckets VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET account = excluded.account,"
            " region = excluded.region, created = excluded.created, settings = excluded.settings",
            *astuple(row)[:4],
            json.dumps(row.settings),
        )

    def delete_bucket(self, name: str) -> None:
        """Forgets a bucket and whatever may still be in it."""
        self._do("DELETE FROM buckets WHERE name = ?", name)
        self._do("DELETE FROM objects WHERE bucket = ?", name)

    def objects(self, bucket: str, name: str | None = None) -> list[ObjectRow]:
        """The versions in a bucket, or those of one object in it, oldest first."""
        where, values = ("bucket = ?", [bucket]) if name is None else ("bucket = ? AND name = ?", [bucket, name])
        with self._lock:
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM objects WHERE {where} ORDER BY seq",  # noqa: S608  (our own words)
                values,
            ).fetchall()
        return [ObjectRow(**(dict(row) | _parsed(row))) for row in rows]

    def ids(self, bucket: str, name: str) -> set[str]:
        """The ids of the versions of one object."""
        with self._lock:
            rows = self._db.execute("SELECT id FROM objects WHERE bucket = ? AND name = ?", (bucket, name))
            return {row["id"] for row in rows}

    def save_object(self, row: ObjectRow) -> None:
        """Adds a version, or changes what is said of it."""
        values = list(astuple(row))
        self._do(_SAVE, *values[:10], json.dumps(row.metadata), json.dumps(row.details))

    def delete_objects(self, object_ids: Iterable[str]) -> None:
        """Forgets versions. Their files are for `discard`, when the transaction is through."""
        for object_id in object_ids:
            self._do("DELETE FROM objects WHERE id = ?", object_id)

    def _do(self, statement: str, *values: Any) -> None:
        with self._lock:
            self._db.execute(statement, values)


def _parsed(row: sqlite3.Row) -> dict[str, Any]:
    """The columns of an object's row that SQLite has no type for."""
    return {
        "deletes": bool(row["deletes"]),
        "metadata": json.loads(row["metadata"]),
        "details": json.loads(row["details"]),
    }


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder survive a power cut; Windows does that by itself."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
