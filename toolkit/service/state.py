"""What the service remembers: jobs, projects and project versions, in one SQLite file (write-ahead log).

Times are seconds since 1970 (UTC). Requests are kept as they came, so that a description can repeat them.
"""

import json
import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from toolkit.service.records import JobRecord, ProjectRecord, VersionRecord

_log: Final = logging.getLogger(__name__)
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL UNIQUE, account TEXT NOT NULL, region TEXT NOT NULL,
    token TEXT, request TEXT NOT NULL, manifest_version TEXT, status TEXT NOT NULL DEFAULT 'CREATED',
    failure_code TEXT, failure_message TEXT, created REAL NOT NULL, completed REAL,
    done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0, results_version TEXT, summary_version TEXT,
    UNIQUE (account, region, token)
);
CREATE TABLE IF NOT EXISTS projects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, arn TEXT NOT NULL UNIQUE, account TEXT NOT NULL, region TEXT NOT NULL,
    name TEXT NOT NULL, auto_update TEXT NOT NULL, created REAL NOT NULL, UNIQUE (account, region, name)
);
CREATE TABLE IF NOT EXISTS versions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, arn TEXT NOT NULL UNIQUE, project_arn TEXT NOT NULL, name TEXT NOT NULL,
    adapter_id TEXT NOT NULL, request TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'TRAINING_IN_PROGRESS',
    message TEXT, created REAL NOT NULL, ended REAL, billable_seconds INTEGER, f1 REAL, output_folder TEXT,
    done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0, UNIQUE (project_arn, name)
);
"""

_MIGRATIONS: Final = (
    "ALTER TABLE versions RENAME COLUMN summary_key TO output_folder; UPDATE versions SET output_folder = NULL",
)
"""What became of older files' tables, oldest first; `user_version` says how many of these a file has behind it."""


_UNFINISHED: Final = "status IN ('CREATED', 'QUEUED', 'IN_PROGRESS')"


class TooMany(Exception):
    """As many jobs as allowed have not ended."""


class AlreadyThere(Exception):
    """A project or version of that name exists."""


class Gone(Exception):
    """The project has been deleted meanwhile."""


class State:
    """The service's memory. Every method may be called from every thread, and is done when it returns.

    Parameters
    ----------
    path
        The database file; made where it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._unwritten: dict[str, dict[str, Any]] = {}
        self._migrate()

    def _migrate(self) -> None:
        (done,) = self._db.execute("PRAGMA user_version").fetchone()
        new = not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'versions'").fetchone()
        steps = [_TABLES] if new else _MIGRATIONS[done:]
        if steps:
            self._db.executescript(";".join(["BEGIN", *steps, f"PRAGMA user_version = {len(_MIGRATIONS)}", "COMMIT"]))

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with self._lock:
            rows = [dict(row) for row in self._db.execute(query, values)]
        for row in rows:
            if "request" in row:
                row["request"] = json.loads(row["request"])
            row |= self._unwritten.get(str(row.get("job_id", row.get("arn"))), {})
        return rows

    def _do(self, statement: str, *values: Any) -> int:
        with self._lock:
            return self._db.execute(statement, values).rowcount

    def _fail(self, table: str, key: str, identity: str, **ending: Any) -> None:
        """How a job or a training ended. Where the disk does not take it, clients are told all the same; the next start
        tries it again.
        """
        columns = ", ".join(f"{column} = ?" for column in ending)
        try:
            self._do(f"UPDATE {table} SET {columns} WHERE {key} = ?", *ending.values(), identity)  # noqa: S608
        except sqlite3.Error:
            _log.exception("%s: %s", identity, ending)
            self._unwritten[identity] = ending

    def secret(self, name: str) -> str:
        """A random text that stays the same for this file: what tokens are signed with."""
        self._do("INSERT OR IGNORE INTO secrets VALUES (?, ?)", name, secrets.token_hex(32))
        return str(self._rows("SELECT value FROM secrets WHERE name = ?", name)[0]["value"])

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def add_job(
        self,
        job_id: str,
        account: str,
        region: str,
        token: str | None,
        request: dict[str, Any],
        manifest_version: str | None,
        max_unfinished: int | None = None,
    ) -> tuple[JobRecord, bool]:
        """A new job, or the one that this token already made; the second value says whether it is new.

        Raises
        ------
        TooMany
            The account has `max_unfinished` jobs in this region that have not ended.
        """
        with self._transaction() as db:
            known = self.job_of_token(account, region, token)
            if known:
                return known, False
            if max_unfinished is not None and self._unfinished(account, region) >= max_unfinished:
                raise TooMany
            db.execute(
                "INSERT INTO jobs (job_id, account, region, token, request, manifest_version, created, status)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 'QUEUED')",
                (job_id, account, region, token, json.dumps(request), manifest_version, time.time()),
            )
            return self._job("job_id = ?", job_id), True

    def _unfinished(self, account: str, region: str) -> int:
        query = f"SELECT count(*) AS n FROM jobs WHERE account = ? AND region = ? AND {_UNFINISHED}"  # noqa: S608
        return int(self._rows(query, account, region)[0]["n"])

    def _job(self, where: str, *values: Any) -> JobRecord:
        return JobRecord(**self._rows(f"SELECT * FROM jobs WHERE {where}", *values)[0])  # noqa: S608  (our own words)

    def job_of_token(self, account: str, region: str, token: str | None) -> JobRecord | None:
        """The job that this ClientRequestToken made."""
        if token is None:
            return None
        rows = self._rows("SELECT * FROM jobs WHERE account = ? AND region = ? AND token = ?", account, region, token)
        return JobRecord(**rows[0]) if rows else None

    def job(self, account: str, region: str, job_id: str) -> JobRecord | None:
        """One job of an account in a region."""
        rows = self._rows("SELECT * FROM jobs WHERE account = ? AND region = ? AND job_id = ?", account, region, job_id)
        return JobRecord(**rows[0]) if rows else None

    def jobs(self, account: str, region: str, before: int | None, limit: int) -> list[JobRecord]:
        """Jobs, newest first, from the one before `before` (a `seq`) on."""
        rows = self._rows(
            "SELECT * FROM jobs WHERE account = ? AND region = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
            account, region, _before(before), limit,
        )  # fmt: skip
        return [JobRecord(**row) for row in rows]

    def unfinished_jobs(self) -> list[JobRecord]:
        """Whatever an earlier process left behind, oldest first."""
        rows = self._rows(f"SELECT * FROM jobs WHERE {_UNFINISHED} ORDER BY seq")  # noqa: S608  (our own words)
        return [JobRecord(**row) for row in rows]

    def set_job_status(self, job_id: str, status: str) -> None:
        """On to IN_PROGRESS."""
        self._do("UPDATE jobs SET status = ? WHERE job_id = ?", status, job_id)

    def set_job_progress(self, job_id: str, done: int, total: int) -> None:
        """Lines dealt with, of all lines."""
        self._do("UPDATE jobs SET done = ?, total = ? WHERE job_id = ?", done, total, job_id)

    def finish_job(self, job_id: str, results_version: str | None, summary_version: str | None) -> None:
        """SUCCEEDED; the versions are those of the two objects written."""
        self._do(
            "UPDATE jobs SET status = 'SUCCEEDED', done = total, completed = ?, results_version = ?,"
            " summary_version = ? WHERE job_id = ?",
            time.time(), results_version, summary_version, job_id,
        )  # fmt: skip

    def fail_job(self, job_id: str, code: str, message: str) -> None:
        """FAILED; `code` is a MediaAnalysisJobFailureCode."""
        self._fail(
            "jobs", "job_id", job_id,
            status="FAILED", completed=time.time(), failure_code=code, failure_message=message,
        )  # fmt: skip

    # -- projects -----------------------------------------------------------------------------------------------------

    def add_project(self, record: ProjectRecord) -> None:
        """A new project; its `seq` is given here.

        Raises
        ------
        AlreadyThere
        """
        try:
            self._do(
                "INSERT INTO projects (arn, account, region, name, auto_update, created) VALUES (?, ?, ?, ?, ?, ?)",
                record.arn, record.account, record.region, record.name, record.auto_update, record.created,
            )  # fmt: skip
        except sqlite3.IntegrityError as error:
            raise AlreadyThere from error

    def project(self, account: str, region: str, arn: str) -> ProjectRecord | None:
        """One project of an account in a region."""
        rows = self._rows("SELECT * FROM projects WHERE account = ? AND region = ? AND arn = ?", account, region, arn)
        return ProjectRecord(**rows[0]) if rows else None

    def projects(self, account: str, region: str) -> list[ProjectRecord]:
        """All projects, newest first."""
        rows = self._rows("SELECT * FROM projects WHERE account = ? AND region = ? ORDER BY seq DESC", account, region)
        return [ProjectRecord(**row) for row in rows]

    def delete_project(self, arn: str) -> bool:
        """Forgets a project without versions; False where it has some."""
        return bool(
            self._do("DELETE FROM projects WHERE arn = ? AND arn NOT IN (SELECT project_arn FROM versions)", arn)
        )

    # -- project versions ---------------------------------------------------------------------------------------------

    def add_version(self, arn: str, project_arn: str, name: str, request: dict[str, Any]) -> VersionRecord:
        """A new version, in training.

        Raises
        ------
        AlreadyThere, Gone
        """
        try:
            added = self._do(
                "INSERT INTO versions (arn, project_arn, name, adapter_id, request, created)"
                " SELECT ?, arn, ?, ?, ?, ? FROM projects WHERE arn = ?",
                arn, name, secrets.token_hex(16), json.dumps(request), time.time(), project_arn,
            )  # fmt: skip
        except sqlite3.IntegrityError as error:
            raise AlreadyThere from error
        if not added:
            raise Gone
        return VersionRecord(**self._rows("SELECT * FROM versions WHERE arn = ?", arn)[0])

    def version(self, arn: str) -> VersionRecord | None:
        """One version by its ARN."""
        rows = self._rows("SELECT * FROM versions WHERE arn = ?", arn)
        return VersionRecord(**rows[0]) if rows else None

    def versions(self, project_arn: str) -> list[VersionRecord]:
        """All versions of a project, newest first."""
        rows = self._rows("SELECT * FROM versions WHERE project_arn = ? ORDER BY seq DESC", project_arn)
        return [VersionRecord(**row) for row in rows]

    def version_arns(self) -> list[str]:
        """Of every version of every account, newest first."""
        return [str(row["arn"]) for row in self._rows("SELECT arn FROM versions ORDER BY seq DESC")]

    def unfinished_versions(self) -> list[tuple[ProjectRecord, VersionRecord]]:
        """Trainings that an earlier process left behind, and their projects, oldest first."""
        rows = self._rows("SELECT * FROM versions WHERE status = 'TRAINING_IN_PROGRESS' ORDER BY seq")
        projects = {row["arn"]: ProjectRecord(**row) for row in self._rows("SELECT * FROM projects")}
        # An earlier release let a project be deleted while a version of it was being made.
        return [(projects[row["project_arn"]], VersionRecord(**row)) for row in rows if row["project_arn"] in projects]

    def set_version_progress(self, arn: str, done: int, total: int) -> None:
        """Images looked at, of all images."""
        self._do("UPDATE versions SET done = ?, total = ? WHERE arn = ?", done, total, arn)

    def set_version_status(self, arn: str, status: str) -> None:
        """On to a ProjectVersionStatus such as DEPRECATED or EXPIRED."""
        self._do("UPDATE versions SET status = ? WHERE arn = ?", status, arn)

    def finish_version(self, arn: str, message: str, f1: float, seconds: int, output_folder: str) -> None:
        """TRAINING_COMPLETED."""
        self._do(
            "UPDATE versions SET status = 'TRAINING_COMPLETED', done = total, message = ?, f1 = ?,"
            " billable_seconds = ?, output_folder = ?, ended = ? WHERE arn = ?",
            message, f1, seconds, output_folder, time.time(), arn,
        )  # fmt: skip

    def fail_version(self, arn: str, message: str) -> None:
        """TRAINING_FAILED; the message is what StatusMessage says."""
        self._fail("versions", "arn", arn, status="TRAINING_FAILED", message=message, ended=time.time())

    def delete_version(self, arn: str) -> None:
        """Forgets a version."""
        self._do("DELETE FROM versions WHERE arn = ?", arn)


def _before(seq: int | None) -> int:
    return 2**62 if seq is None else seq
