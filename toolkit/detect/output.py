"""The place for what comes of a run: which run may have it, and what is written there."""

import hashlib
import json
import os
import platform
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import boto3

from toolkit import manifests, storage
from toolkit.collection import Collection
from toolkit.detect.ask import Settings
from toolkit.detect.journal import HERE, Image, Journal, outcomes, remove, require_begun
from toolkit.detect.outcome import DetectRun
from toolkit.detect.record import FILE_NAME as RECORD_NAME
from toolkit.detect.record import JournalPlace, Record
from toolkit.errors import InvalidArgument, NotFound, ToolkitError

DEFAULT_MIN_CONFIDENCE: Final = 50.0
_LEFT: Final = (manifests.RESULTS_NAME, manifests.SUMMARY_NAME)


class Output:
    """A folder or prefix, with the collection and the settings of the run that is to leave its results there.

    Parameters
    ----------
    output
        Folder, or `s3://bucket/prefix/`.
    found
        What is asked about.
    settings
        Of every request.
    journal
        Path of the journal's file.
    session
        For Rekognition and S3; None is boto3's default.

    Attributes
    ----------
    place
        What a journal calls this output.
    settings
        What a journal calls the settings, and who is asked.
    """

    def __init__(
        self, output: str, found: Collection, settings: Settings, journal: Path, session: boto3.Session | None
    ) -> None:
        self._output = output
        self._found = found
        self._floor = DEFAULT_MIN_CONFIDENCE if settings.min_confidence is None else float(settings.min_confidence)
        self._project_version = settings.project_version
        self._journal = journal
        self._session = session
        self._known: bytes | None = None
        self._written = 0
        self.place = _place(output, journal.parent)
        self._asked = _asked(session)
        self.settings = json.dumps([self._floor, self._project_version, self._asked])
        self._identity = self._identified()

    def images(self) -> Iterator[Image]:
        """The images, in order. One that stands there several times is several images.

        A file is known by where it is, which may be said in several ways, and by its size and time.
        """
        seen: Counter[str] = Counter()
        for ref in self._found.refs:
            uri, stamp, name = (ref, "", ref) if self._found.folder is None else _known_by(ref)
            seen[uri] += 1
            yield Image(uri, seen[uri], stamp, ref, name)

    def _identified(self) -> str:
        """What tells this run from others, once it has ended."""
        whole = hashlib.sha256(self.settings.encode())
        for image in self.images():
            whole.update(f"{image.uri}\n{image.stamp}\n{image.nth}\n".encode())
        return whole.hexdigest()

    def ended(self) -> DetectRun | None:
        """The run, if it ended earlier and nothing is left to ask about; None if it has to be run.

        Raises
        ------
        InvalidArgument
            The output holds something else, or the journal of what it holds is somewhere else.
        NotFound
            What the output holds cannot be known, or some of it was removed; or the journal is damaged.
        UnreadableManifest
            `detect.json` there is damaged, or of a newer version.
        """
        record = self._recorded()
        if record is None or record.journal is not None:
            self._require_own(record)
            return None
        if record.identity != self._identity:
            raise self._taken()
        self._require_files()
        self._remove_leftover()
        return self._outcome(record.images, record.failed, 0, record.unsettled)

    def _recorded(self) -> Record | None:
        """What `detect.json` says; None where there is none. Raises as `ended`."""
        uri = self._in(RECORD_NAME)
        self._known = storage.read_if_there(uri, session=self._session)
        if self._known is not None:
            return Record.parse(self._known, uri, self._mending)
        if Path(uri).is_symlink():
            raise NotFound(f"{uri}: is a link to a file that is not there; remove it, and run the same again.")
        return None

    def _require_own(self, record: Record | None) -> None:
        """Raises as `ended` unless the output is free, or this run's.

        That the run has begun does not prove that results there are its own; that it said so does, or, where that was
        removed, what its journal knows. Its images may be others by now.
        """
        journal, known = None if record is None else record.journal, outcomes(self._journal, self.place)
        named = journal == self._here() and self._journal.exists()  # it may have been another run's since
        if journal is not None and known is None and not named:
            raise self._elsewhere(journal)
        there = storage.exists(self._in(manifests.RESULTS_NAME), session=self._session)
        if record is None:
            self._written = known or 0 if there else 0
        elif known or self._has_settings(record):
            self._written = record.images
        if there and not self._written:
            raise self._taken()
        if journal is not None and known is None:
            require_begun(self._journal, self.place)
            if there:  # what is known of its images was in a journal that another run's has taken the place of
                raise self._elsewhere(journal)

    def _has_settings(self, record: Record) -> bool:
        """Whether a run had the settings of this one, whatever its images were."""
        settings = (record.min_confidence, record.project_version, record.asked)
        return settings == (self._floor, self._project_version, self._asked)

    def _remove_leftover(self) -> None:
        """Removes the journal, if the run was killed before it did so itself."""
        with suppress(ToolkitError, OSError):  # such as another run's, which is being written
            if outcomes(self._journal, self.place) is not None:
                remove(self._journal)

    def _require_files(self) -> None:
        """Raises NotFound if somebody removed some of what the run left."""
        there = self._left()
        for uri in map(self._in, _LEFT):
            if uri not in there:
                raise NotFound(
                    f"{uri}: is gone, though {RECORD_NAME} beside it says that this run has ended; put it back, or "
                    f"remove {' and '.join(there)} to ask about all images again."
                )

    def _left(self) -> list[str]:
        """What there is of a run's files: that there is a record is known."""
        uris = [self._in(name) for name in _LEFT]
        return [self._in(RECORD_NAME), *(uri for uri in uris if storage.exists(uri, session=self._session))]

    def begin(self, journal: Journal) -> None:
        """Says where the journal is, before the first image is paid for. Raises as `storage.write`.

        Raises
        ------
        InvalidArgument
            Another run has begun or ended there since this one looked.
        """
        try:
            self._claim()
        except (InvalidArgument, NotFound):
            if journal.new:  # else it would stand for a run that has begun
                journal.remove()
            raise

    def _claim(self) -> None:
        """Writes `detect.json`, if it is as it was when this run looked. Raises as `begin`."""
        uri, record = self._in(RECORD_NAME), self._record(self._outcome(self._written, 0, 0, 0), begun=True)
        if self._known is None:
            unchanged = storage.write_new(uri, record, session=self._session)
        elif unchanged := storage.read_if_there(uri, session=self._session) == self._known:
            storage.write(uri, record, session=self._session)
        if not unchanged:
            raise InvalidArgument(
                f"{self._output}: another run has just begun there; run the same again once it has ended, or name "
                f"another output."
            )

    def write(self, journal: Journal, requests: int) -> DetectRun:
        """Summary, results and the run's own record, in this order: results never stand without the summary.

        Raises as `storage.write`.
        """
        errors = journal.errors()
        images = len(self._found) + journal.gone
        # First that they are this run's, which may be killed in between.
        begun = self._record(self._outcome(images, 0, 0, 0), begun=True)
        storage.write(self._in(RECORD_NAME), begun, session=self._session)
        summary = manifests.Summary(images, tuple(errors)).to_json()
        storage.write(self._in(manifests.SUMMARY_NAME), summary, session=self._session)
        self._write_results(journal)
        outcome = self._outcome(images, len(errors), requests, journal.unsettled())
        storage.write(self._in(RECORD_NAME), self._record(outcome, begun=False), session=self._session)
        return outcome

    def _write_results(self, journal: Journal) -> None:
        """Line by line, as a collection's results need not fit in memory."""
        part = journal.folder / f".{manifests.RESULTS_NAME}.part"
        target = self._in(manifests.RESULTS_NAME)
        try:
            with part.open("w", encoding="utf-8") as file:
                file.writelines(journal.results())
            if storage.is_s3(target):
                storage.upload_files([(part, target)], session=self._session)
            else:
                shutil.move(part, target)
        except OSError as error:
            raise NotFound(f"writing {target}: {error.strerror or error}; check the space on the disk.") from error
        finally:
            part.unlink(missing_ok=True)

    def _in(self, name: str) -> str:
        return storage.join(self._output, name)

    def _outcome(self, images: int, failed: int, requests: int, unsettled: int) -> DetectRun:
        return DetectRun(
            self._output, self._floor, self._project_version, images, failed, requests, unsettled,
            session=self._session,
        )  # fmt: skip

    def _record(self, run: DetectRun, *, begun: bool) -> bytes:
        return Record(
            self._identity, run.images, run.failed, run.unsettled, run.min_confidence, run.project_version, self._asked,
            self._here() if begun or run.unsettled else None,  # it may go on, but only with the journal
        ).to_json()  # fmt: skip

    def _here(self) -> JournalPlace:
        return JournalPlace(platform.node(), str(self._journal.parent.resolve()))

    def _taken(self) -> InvalidArgument:
        return InvalidArgument(
            f"{self._output}: holds results of other images or settings; name another output for this run (the same "
            f"images in another order are other ones)."
        )

    def _elsewhere(self, journal: JournalPlace) -> InvalidArgument:
        if journal == self._here():
            where = f"its journal is not in {journal.folder} any more; put it back"
        else:
            where = (
                f"what was answered is in the journal in {journal.folder} on {journal.host}; go on there, with "
                f"--journal {journal.folder} (journal=…)"
            )
        return InvalidArgument(
            f"{self._output}: holds a run that has not ended, and {where}, or name another output (if the journal is "
            f"lost, remove {' and '.join(self._left())} to ask about all images again)."
        )

    def _mending(self) -> str:
        """What to do about a damaged record."""
        if outcomes(self._journal, self.place) is not None:
            return f"remove it and run the same again: what was answered is kept in {self._journal}"
        return (
            f"if its run has not ended, name the folder of its journal, which is not in {self._journal.parent} "
            f"(--journal, journal=…), else name another output"
        )


def _asked(session: boto3.Session | None) -> str:
    """Who is asked: answers of one endpoint are not another's. A local service may have another port next time."""
    return "this machine" if storage.is_local(session) else storage.rekognition_url(session)


def _place(output: str, journal: Path) -> str:
    """What a journal calls its output."""
    if storage.is_s3(output):
        return output.rstrip("/")
    folder = Path(output).resolve()
    # A name may be no UTF-8.
    return HERE if folder == journal.resolve() else os.fsencode(folder).decode(errors="backslashreplace")


def _known_by(path: str) -> tuple[str, str, str]:
    """URI, stamp and name of a file. Its path may be no UTF-8; URIs are."""
    name = Path(path).parent.resolve() / Path(path).name  # however its folder is called; it may be a link itself
    return Path(path).resolve().as_uri(), _stamp(path), name.as_uri()


def _stamp(path: str) -> str:
    """What changes when a file does; empty where there is none any more."""
    try:
        state = Path(path).stat()
    except OSError:
        return ""
    return f"{state.st_size} {state.st_mtime_ns}"
