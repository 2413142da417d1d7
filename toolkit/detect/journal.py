"""What is known of each image so far, kept as it comes: a run that was killed goes on where it was."""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from toolkit.detect.ask import Outcome
from toolkit.errors import InvalidArgument, NotFound, ToolkitError
from toolkit.manifests import LineError, to_line

FILE_NAME: Final = "detect.journal"
HERE: Final = "."
"""How a journal calls its own folder, which may be moved."""
_VERSION: Final = 3
"""Of the tables below, as their `user_version` says; 0 in files of states of the toolkit that did not say it."""
_DAMAGE: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""What reading a damaged file raises; the last, where a table is gone."""
# One process at a time. With a write-ahead log, a killed process loses nothing that it was told is written; a machine
# that loses its power may lose the last seconds.
#
# An outcome stands under its image, not under the image's place in the collection, which may have changed by the time
# the run goes on; `line` is the place that it has this time, with the source-ref by which it is called this time. It is
# of the image as it was: once that has changed, another one takes its place.
_SCHEMA: Final = """
PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;
BEGIN;
CREATE TABLE IF NOT EXISTS run (settings TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS place (output TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outcome (
    uri TEXT NOT NULL, nth INTEGER NOT NULL, stamp TEXT NOT NULL, source_ref TEXT NOT NULL, name TEXT NOT NULL,
    result TEXT, error TEXT, final INTEGER NOT NULL, PRIMARY KEY (uri, nth)
);
PRAGMA user_version=3;
COMMIT;
CREATE TEMP TABLE line (
    number INTEGER PRIMARY KEY, uri TEXT NOT NULL, nth INTEGER NOT NULL, stamp TEXT NOT NULL, source_ref TEXT NOT NULL,
    name TEXT NOT NULL
);
CREATE TEMP TABLE left_out (number INTEGER PRIMARY KEY, error TEXT NOT NULL);
CREATE TEMP VIEW known AS
    SELECT number, line.source_ref, outcome.source_ref AS asked_as, result, error, final
        FROM line JOIN outcome USING (uri, nth, stamp) WHERE number NOT IN (SELECT number FROM left_out)
    UNION ALL SELECT number, source_ref, NULL, NULL, error, 1 FROM line JOIN left_out USING (number);
"""
# The old answer about a file that has changed since is left out: the file is still in the collection. So is one about
# the file that a link led to before: another image has its name now, or had it since, and nobody can say whose it is.
_ADD_GONE: Final = """
INSERT INTO line (uri, nth, stamp, source_ref, name)
    SELECT uri, nth, stamp, source_ref, name FROM outcome WHERE result NOT NULL AND uri NOT IN (SELECT uri FROM line)
        AND name NOT IN (SELECT name FROM line) AND source_ref NOT IN (SELECT source_ref FROM line)
        AND name NOT IN (SELECT name FROM outcome GROUP BY name HAVING count(DISTINCT uri) > 1)
"""


class Image(NamedTuple):
    """One image of a collection, as a journal knows it.

    Attributes
    ----------
    uri
        Where it is, whatever it is called.
    nth
        Which of those with this URI it is, counted from 1.
    stamp
        What changes when it does; empty in S3.
    source_ref
        What it is called this time.
    name
        That, in full; through links, while `uri` is where they lead.
    """

    uri: str
    nth: int
    stamp: str
    source_ref: str
    name: str


class Journal:
    """Outcomes by image, in a file of SQLite: each is there whole or not at all, whenever the process is killed.

    Parameters
    ----------
    path
        Of the file; made where there is none.
    settings
        Of the run; a journal with outcomes for other ones is refused.
    output
        Where the run's results go; a journal with outcomes for another place is refused.
    images
        Of the collection, in order. A journal with outcomes for none of them is refused.

    Attributes
    ----------
    new
        Whether it holds no outcomes yet.
    gone
        Images that were answered earlier and are not in the collection any more. They have been paid for, and follow
        as further lines.

    Raises
    ------
    InvalidArgument
        The file is another run's or another version's, or another process is writing it.
    NotFound
        It cannot be written, is damaged, or is not a journal.
    """

    def __init__(self, path: Path, settings: str, output: str, images: Iterable[Image]) -> None:
        self._path = path
        self._output = output
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _opened(path)
            try:
                self._begin(settings, output, images)
            except BaseException:  # whoever keeps the exception, as a notebook does, would keep the file locked
                self.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, output, error) from error

    def _begin(self, settings: str, output: str, images: Iterable[Image]) -> None:
        """Makes the file this run's. Raises sqlite3.Error, and InvalidArgument where it is another one's."""
        self._file.executescript(_SCHEMA)
        self._file.execute("BEGIN")
        self._file.executemany("INSERT INTO line (uri, nth, stamp, source_ref, name) VALUES (?, ?, ?, ?, ?)", images)
        self.new = not self._asked("SELECT EXISTS (SELECT 1 FROM outcome)")
        if elsewhere := self._elsewhere(output):
            raise InvalidArgument(
                f"{self.folder}: holds the journal of a run into {elsewhere} that has not ended; run that one again "
                f"first, with this journal, or name another folder for the journal of this one (--journal)."
            )
        if not self._is_same(settings):
            raise InvalidArgument(
                f"{self.folder}: holds a run of other images or settings that has not ended; run that one again, or "
                f"name another output."
            )
        self._file.execute("DELETE FROM run")
        self._file.execute("INSERT INTO run VALUES (?)", (settings,))
        self._file.execute("DELETE FROM place")
        self._file.execute("INSERT INTO place VALUES (?)", (output,))
        self.gone = self._file.execute(_ADD_GONE).rowcount
        self._file.execute("COMMIT")

    def _elsewhere(self, output: str) -> str | None:
        """The other output that the outcomes are for; None if they are for this one, or there are none."""
        known = self._asked("SELECT output FROM place")
        if self.new or known in {output, None}:
            return None
        return str(self.folder) if known == HERE else str(known)

    def _is_same(self, settings: str) -> bool:
        """Whether the outcomes are for these settings, and some of them for these images. Without any, all is open."""
        if self.new:
            return True
        shared = self._asked("SELECT EXISTS (SELECT 1 FROM line JOIN outcome USING (uri))")
        return bool(shared and self._asked("SELECT settings FROM run") == settings)

    def _asked(self, question: str) -> Any:
        """The first value of the answer; None if there is none."""
        row = self._file.execute(question).fetchone()
        return None if row is None else row[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    @property
    def folder(self) -> Path:
        """Where the file is."""
        return self._path.parent

    def keep(self, outcome: Outcome) -> None:
        """Writes what came of one image. From any thread.

        Raises
        ------
        NotFound
            It cannot be written.
        """
        error = None if outcome.error is None else _described(outcome.error)
        self._put(
            "INSERT OR REPLACE INTO outcome"
            " SELECT uri, nth, stamp, source_ref, name, ?, ?, ? FROM line WHERE number = ?",
            (outcome.result, error, int(outcome.final), outcome.entry.line),
        )

    def leave_out(self, problem: LineError) -> None:
        """Counts an image as failed this time, without a word in the file: next time it may be mended.

        Raises as `keep`.
        """
        self._put("INSERT OR REPLACE INTO left_out VALUES (?, ?)", (problem.line, _described(problem)))

    def _put(self, statement: str, row: tuple[object, ...]) -> None:
        try:
            with self._lock:
                self._file.execute(statement, row)
        except sqlite3.Error as error:
            raise _unusable(self._path, self._output, error) from error

    def done(self) -> set[int]:
        """Lines that need not be asked about again."""
        return {line for (line,) in self._rows("SELECT number FROM known WHERE final")}

    def results(self) -> Iterator[str]:
        """Lines of the results manifest, in the order of the images, which all are called as they are this time."""
        found = self._rows("SELECT result, source_ref, asked_as FROM known WHERE result NOT NULL ORDER BY number")
        yield from (line if now == then else _renamed(line, now) for line, now, then in found)

    def errors(self) -> list[LineError]:
        """Images without a result, in order."""
        rows = self._rows("SELECT number, source_ref, error FROM known WHERE error NOT NULL ORDER BY number")
        found = ((line, source_ref, *json.loads(error)) for line, source_ref, error in rows)
        return [LineError(line, code, message, source_ref) for line, source_ref, code, message in found]

    def counts(self) -> tuple[int, int]:
        """Images that need not be asked about again, and those among them without a result."""
        ((done, failed),) = self._rows("SELECT count(*), count(error) FROM known WHERE final")
        return int(done), int(failed)

    def unsettled(self) -> int:
        """Images that are worth asking about once more."""
        ((images,),) = self._rows("SELECT count(*) FROM known WHERE NOT final")
        return int(images)

    def _rows(self, question: str) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._file.execute(question)
        except sqlite3.Error as error:  # damage shows where it is read
            raise _unusable(self._path, self._output, error) from error

    def remove(self) -> None:
        """Closes the file and deletes it."""
        self.close()
        remove(self._path)


def remove(path: Path) -> None:
    """Deletes a journal that nobody has open, with what SQLite keeps beside it."""
    for suffix in ("-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def outcomes(path: Path, output: str) -> int | None:
    """Images of which the journal of a run into this output knows what came; None if the file is no such journal.

    Raises as `Journal`.
    """
    if not path.exists():
        return None
    try:
        with closing(_opened(path)) as file:
            if file.execute("SELECT EXISTS (SELECT 1 FROM sqlite_schema)").fetchone() == (0,):
                return None
            if file.execute("SELECT output FROM place").fetchone() != (output,):
                return None
            return int(file.execute("SELECT count(*) FROM outcome").fetchone()[0])
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, output, error) from error


def require_begun(path: Path, output: str) -> None:
    """Refuses the journal of a run that has begun, if there is nothing in it, as in a file that was emptied or that
    SQLite's `-wal` beside it was taken from.

    Raises as `Journal`.
    """
    try:
        with closing(_opened(path)) as file:
            begun = file.execute("SELECT EXISTS (SELECT 1 FROM sqlite_schema)").fetchone() == (1,)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, output, error) from error
    if not begun:
        raise _damaged(path, "it is empty")


def _opened(path: Path) -> sqlite3.Connection:
    """The file, for this process alone. Raises sqlite3.Error, and InvalidArgument where its tables are others."""
    file = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=0)
    try:
        file.execute("PRAGMA locking_mode=EXCLUSIVE")
        (version,) = file.execute("PRAGMA user_version").fetchone()
        (begun,) = file.execute("SELECT EXISTS (SELECT 1 FROM sqlite_schema)").fetchone()
    except BaseException:
        file.close()
        raise
    if begun and version != _VERSION:
        file.close()
        raise InvalidArgument(
            f"{path}: is the journal of a run that another version of the toolkit began; end it with that version, or "
            f"remove this file and name another output to begin anew."
        )
    return file


def _renamed(line: str, source_ref: str) -> str:
    return to_line(json.loads(line) | {"source-ref": source_ref})


def _described(error: LineError) -> str:
    return json.dumps([error.code, error.message])


def _unusable(path: Path, output: str, error: Exception) -> ToolkitError:
    if "locked" in str(error):
        other = (
            "output"
            if output == HERE
            else "folder for the journal (--journal), and another output if it is writing there, too"
        )
        return InvalidArgument(f"{path}: another run is writing there; wait for it, or name another {other}.")
    if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF in _DAMAGE:
        return _damaged(path, str(error))
    return NotFound(f"{path}: no journal can be kept there ({error}); check the path and the space on the disk.")


def _damaged(path: Path, how: str) -> NotFound:
    return NotFound(
        f"{path}: the journal is damaged ({how}), and its answers are lost; remove it, and what there is of "
        f"detect.json, results.jsonl and manifest-summary.json in the run's output, to begin anew."
    )
