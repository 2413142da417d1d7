"""How far a job has come, on disk: a job that was killed goes on where it was.

A folder for each job, named by its id, with three files. `manifest` is what the job analyzes, whatever becomes of the
object that it was read from, and `adapter.npz` the adapter that it asks (empty: the base model), whatever becomes of
that. `outcomes` has one line for each image that was dealt with, in the order of the manifest: `+` and the line of the
results, or `-` and why there is none. Before them, a line says what they were made with.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

from toolkit.service.adapter import Adapter
from toolkit.service.disk import sync_folder

_SYNC_SECONDS: Final = 1.0
"""What kill -9 leaves needs no syncing; a power cut costs the work of this long."""


Outcome = tuple[str | None, list[str]]
"""Of one image: its line of the results, or None and the code and message of its refusal."""


class Checkpoint:
    """The folder of one job.

    Parameters
    ----------
    folder
        Made when there is something to keep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._manifest = folder / "manifest"
        self._adapter = folder / "adapter.npz"
        self._outcomes = folder / "outcomes"

    def manifest(self) -> list[bytes] | None:
        """The lines that the job analyzes; None where it has not begun."""
        return self._manifest.read_bytes().split(b"\n") if self._manifest.exists() else None

    def keep_manifest(self, lines: Sequence[bytes]) -> None:
        """Keeps the lines that the job analyzes.

        Raises
        ------
        OSError
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / "manifest.part"
        with part.open("wb") as file:
            file.write(b"\n".join(lines))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._manifest)
        sync_folder(self._folder)

    def adapter(self, choose: Callable[[], Adapter | None]) -> Adapter | None:
        """The adapter that the job asks; None for the base model. It is chosen once, and kept.

        Raises
        ------
        OSError
            As well as what `choose` raises.
        """
        if not self._adapter.exists():
            chosen = choose()
            self._adapter.touch() if chosen is None else chosen.save(self._adapter)
            sync_folder(self._folder)
        return Adapter.load(self._adapter) if self._adapter.stat().st_size else None

    def go_on(self, made_with: dict[str, Any], total: int, step: int) -> "Recorder":
        """Cuts off what is not to be trusted, and adds to the rest.

        Parameters
        ----------
        made_with
            What outcomes depend on besides the manifest. Those that were made with something else are dropped.
        total
            Outcomes that there will be.
        step
            Outcomes come in steps of so many, of which the last may be smaller; an incomplete step is made again, since
            the network's last digit depends on which images it sees together.
        """
        header = json.dumps(made_with).encode("ascii") + b"\n"
        kept = self._complete(header)
        if len(kept) < total:
            del kept[len(kept) // step * step :]
        length = len(header) + sum(map(len, kept)) if kept else 0
        file = self._outcomes.open("r+b" if self._outcomes.exists() else "w+b")
        file.truncate(length)
        file.seek(length)
        if not kept:
            file.write(header)
        return Recorder(file, len(kept))

    def _complete(self, header: bytes) -> list[bytes]:
        """The lines that were written whole, if they begin with this header."""
        if not self._outcomes.exists():
            return []
        with self._outcomes.open("rb") as file:
            if file.readline() != header:
                return []
            kept = []
            for line in file:
                if not (line.endswith(b"\n") and _is_json(line[1:])):
                    break  # torn by a kill, or zeros after a power cut
                kept.append(line)
            return kept

    def outcomes(self) -> Iterator[Outcome]:
        """What was recorded, in the order of the manifest."""
        with self._outcomes.open("rb") as file:
            file.readline()
            for line in file:
                if line.startswith(b"+"):
                    yield line[1:].decode("utf-8"), []
                else:
                    yield None, json.loads(line[1:])

    def remove(self) -> None:
        """Deletes all of it; the job has ended."""
        shutil.rmtree(self._folder, ignore_errors=True)


class Recorder:
    """Adds outcomes to a job's file. `done` are there already."""

    def __init__(self, file: IO[bytes], done: int) -> None:
        self._file = file
        self._synced = time.monotonic()
        self.done = done

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Adds outcomes; a kill after this does not undo it.

        Raises
        ------
        OSError
        """
        lines = [f"+{line}" if line is not None else f"-{json.dumps(refusal)}\n" for line, refusal in outcomes]
        self._file.write("".join(lines).encode("utf-8"))
        self._file.flush()
        self.done += len(outcomes)
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
