"""What is known of each image so far, kept as it comes: a run that was killed goes on where it was."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from toolkit.detect.ask import Outcome
from toolkit.errors import InvalidArgument, NotFound, ToolkitError
from toolkit.manifests import LineError

FILE_NAME: Final = "detect.journal"
# One process at a time. With a write-ahead log, a killed process loses nothing that it was told is written; a machine
# that loses its power may lose the last seconds.
_SCHEMA: Final = """
PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;
CREATE TABLE IF NOT EXISTS run (identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outcome (line INTEGER PRIMARY KEY, result TEXT, error TEXT, final INTEGER NOT NULL);
"""


class Journal:
    """Outcomes by line, in a file of SQLite: each is there whole or not at all, whenever the process is killed.

    Parameters
    ----------
    path
        Of the file; made where there is none.
    identity
        Of the run; a journal of another one is refused.

    Raises
    ------
    InvalidArgument
        The file is another run's, or another process is writing it.
    NotFound
        It cannot be written, or is not a journal.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=0)
            self._file.executescript(_SCHEMA)
            known = self._file.execute("SELECT identity FROM run").fetchone()
            if known is None:
                self._file.execute("INSERT INTO run VALUES (?)", (identity,))
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error
        if known is not None and known[0] != identity:
            self.close()
            raise InvalidArgument(
                f"{path.parent}: holds a run of other images or settings that has not ended; run that one again, or "
                f"name another output."
            )

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
        error = outcome.error
        described = None if error is None else json.dumps([error.source_ref, error.code, error.message])
        row = (outcome.entry.line, outcome.result, described, int(outcome.final))
        try:
            with self._lock:
                self._file.execute("INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?)", row)
        except sqlite3.Error as failure:
            raise NotFound(f"writing {self._path}: {failure}; check the space on the disk.") from failure

    def done(self) -> set[int]:
        """Lines that need not be asked about again."""
        return {line for (line,) in self._file.execute("SELECT line FROM outcome WHERE final")}

    def results(self) -> Iterator[str]:
        """Lines of the results manifest, in the order of the images."""
        yield from (
            text for (text,) in self._file.execute("SELECT result FROM outcome WHERE result NOT NULL ORDER BY line")
        )

    def errors(self) -> list[LineError]:
        """Images without a result, in order."""
        rows = self._file.execute("SELECT line, error FROM outcome WHERE error NOT NULL ORDER BY line")
        found = ((line, *json.loads(error)) for line, error in rows)
        return [LineError(line, code, message, source_ref) for line, source_ref, code, message in found]

    def counts(self) -> tuple[int, int]:
        """Images that need not be asked about again, and those among them without a result."""
        done, failed = self._file.execute("SELECT count(*), count(error) FROM outcome WHERE final").fetchone()
        return int(done), int(failed)

    def unsettled(self) -> int:
        """Images that are worth asking about once more."""
        return int(self._file.execute("SELECT count(*) FROM outcome WHERE NOT final").fetchone()[0])

    def remove(self) -> None:
        """Closes the file and deletes it."""
        self.close()
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.unlink(missing_ok=True)


def _unusable(path: Path, error: Exception) -> ToolkitError:
    if "locked" in str(error):
        return InvalidArgument(f"{path}: another run is writing there; wait for it, or name another output.")
    return NotFound(f"{path}: no journal can be kept there ({error}); check the path and the space on the disk.")
