"""A whole collection through DetectModerationLabels."""

import hashlib
import json
import platform
import secrets
import shutil
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any, Final

import boto3
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from toolkit import checks, collection, constraints, manifests, storage
from toolkit.collection import Collection, Images
from toolkit.detect.ask import Entry, Outcome, Settings
from toolkit.detect.journal import FILE_NAME as JOURNAL_NAME
from toolkit.detect.journal import HERE, Journal
from toolkit.detect.outcome import DetectRun
from toolkit.detect.quota import DEFAULT_TPS, account_tps
from toolkit.detect.work import ask_elsewhere, ask_here
from toolkit.errors import InvalidArgument, NotFound, ToolkitError
from toolkit.results import Opener

RUN_NAME: Final = "detect.json"
DEFAULT_MIN_CONFIDENCE: Final = 50.0


def detect(
    images: Images | Collection,
    output: str | PathLike[str],
    *,
    min_confidence: float | None = None,
    project_version: str | None = None,
    tps: float | None = None,
    concurrency: int | None = None,
    journal: str | PathLike[str] | None = None,
    session: Opener | None = None,
    executor: Executor | None = None,
    workers: int = 4,
    progress: bool = True,
) -> DetectRun:
    """Analyzes a collection image by image, and leaves what a job leaves: `results.jsonl` and `manifest-summary.json`.

    Every answer is journaled as it arrives. Running the same again goes on where it was: with the images as they are
    then, of which what was answered is not asked about again. Once it has ended, it asks only about images that had no
    answer and may get one.

    Parameters
    ----------
    images
        What `collect` takes, or gave: S3 URIs, a prefix, an input manifest, or a folder on this machine, whose files
        (5 MB at most) are sent along with the requests.
    output
        Folder, or `s3://bucket/prefix/`, of this run alone.
    min_confidence
        Percent, 0–100; None is Rekognition's 50. Nothing below it will ever be known of these images.
    project_version
        ARN of a custom moderation adapter; None is the base model.
    tps
        Requests per second, at most; up to a sixth more while few are refused, which then do not count. None asks
        Service Quotas for the account's limit; where nobody says, it is `DEFAULT_TPS`, and no limit on an endpoint of
        this machine. It falls while the service throttles.
    concurrency
        Requests at a time, at most, and so the requests whose answers are lost if the process is killed. None takes one
        for every request of a second, from 4 to 64, and 4 where there is no limit.
    journal
        Folder for the journal of this run alone, on this machine. None is the output, or, for one in S3, a folder in
        `modkit-detect/`.
        `detect.json` in the output says where it is, as long as the run may go on.
    session
        For Rekognition and S3; None is boto3's default. For an executor with other processes, a function that makes
        one.
    executor
        Machines or processes that ask instead of this one. An answer is journaled when its batch comes back, after ten
        seconds at most: if this process is killed, the batches that are out are asked about again.
    workers
        How many of the executor's workers ask at a time, at most; each gets its share of `tps`, of no less than ten.
    progress
        Whether to draw a bar on stderr.

    Returns
    -------
    DetectRun

    Raises
    ------
    NotFound
        There are no images; or the output cannot be written, or not be read, so that nobody can say what it holds; or
        the run has ended, and its results were removed.
    InvalidArgument
        A setting is out of its range; the output or the journal is another run's, or another one has just begun; or the
        journal of this one is somewhere else.
    Unreachable, RequestRefused
        The run cannot go on. What was answered is kept.

    Examples
    --------
    >>> run = detect("photos", "run", min_confidence=5, tps=50)  # doctest: +SKIP
    >>> run.results().overview()  # doctest: +SKIP
    """
    settings = _checked(Settings(min_confidence, project_version), tps, concurrency, workers)
    opened = session if session is None or isinstance(session, boto3.Session) else session()
    found = images if isinstance(images, Collection) else collection.collect(images, session=opened)
    path = (Path(journal) if journal is not None else _journal_folder(str(output))) / JOURNAL_NAME
    run = _Run(str(output), found, settings, path, opened)
    if (ended := run.ended()) is not None:
        return ended
    with Journal(path, run.settings, run.place, run.images()) as kept:
        if kept.gone:
            warnings.warn(_gone(kept.gone), stacklevel=2)
        run.begin(kept)
        done = kept.done()
        for line, problem in found.problems.items():
            if line not in done:
                kept.leave_out(problem)
                done.add(line)
        todo = [Entry(line, ref) for line, ref in enumerate(found.refs, start=1) if line not in done]
        limit = tps if tps is not None else _limit(opened)
        with _tally(kept, len(found) + kept.gone, progress) as tally:
            if executor is None:
                ask_here(todo, settings, limit, tally.deliver, session=opened, concurrency=concurrency)
            else:
                ask_elsewhere(
                    todo, settings, limit, tally.deliver, session=session, executor=executor, workers=workers,
                    concurrency=concurrency,
                )  # fmt: skip
        outcome = run.write(kept, tally.requests)
        if not outcome.unsettled:
            kept.remove()
            if journal is None and storage.is_s3(str(output)):
                with suppress(OSError):  # other runs keep theirs beside it
                    path.parent.rmdir()
                    path.parent.parent.rmdir()
    return outcome


def floor_beside(results: str, *, session: boto3.Session | None = None) -> float | None:
    """MinConfidence, percent, of the run that left a results manifest, as `detect.json` beside it tells; None without.

    Parameters
    ----------
    results
        Path or S3 URI of the manifest.
    session
        For S3; None is boto3's default.
    """
    if not results.endswith(manifests.RESULTS_NAME):
        return None
    with suppress(ToolkitError, ValueError, KeyError, TypeError):  # another program's file, or none
        record = storage.read(results.removesuffix(manifests.RESULTS_NAME) + RUN_NAME, session=session)
        return float(json.loads(record)["min_confidence"])
    return None


def _checked(settings: Settings, tps: float | None, concurrency: int | None, workers: int) -> Settings:
    if settings.min_confidence is not None:
        checks.within("min_confidence", settings.min_confidence, 0, 100)
    if tps is not None:
        checks.within("tps", tps, 0.001, 100_000)
    for name, value in (("concurrency", concurrency), ("workers", workers)):
        if value is not None:
            checks.whole(name, value, 1)
            checks.within(name, value, 1, 100_000)
    try:
        constraints.check_request("DetectModerationLabels", {"Image": {}} | settings.request())
    except constraints.ConstraintBroken as error:
        raise InvalidArgument(f"{str(error).rstrip('.')}; check the adapter's ARN (modkit adapter list).") from error
    return settings


def _limit(session: boto3.Session | None) -> float | None:
    """Requests per second where the caller names no limit."""
    return None if storage.is_local(session) else account_tps(session) or DEFAULT_TPS


def _gone(images: int) -> str:
    return (
        f"{images:,} images that were answered before this run was interrupted are not in the collection any more; "
        f"they stay in its results."
    )


def _journal_folder(output: str) -> Path:
    if not storage.is_s3(output):
        return Path(output)
    return Path("modkit-detect", hashlib.sha256(output.rstrip("/").encode()).hexdigest()[:16])


# -- what is written --------------------------------------------------------------------------------------------------


class _Run:
    """A collection, what is asked about it, and the place for what comes of it."""

    def __init__(
        self, output: str, found: Collection, settings: Settings, journal: Path, session: boto3.Session | None
    ) -> None:
        self._output = output
        self._found = found
        self._floor = DEFAULT_MIN_CONFIDENCE if settings.min_confidence is None else float(settings.min_confidence)
        self._project_version = settings.project_version
        self._journal = journal
        self._session = session
        self._goes_on = False
        self.place = _place(output, journal.parent)
        self.settings = json.dumps([self._floor, self._project_version])
        self.identity = _identity(self.settings, self.images())

    def images(self) -> Iterator[tuple[str, str]]:
        """What tells each image from all others, and its source-ref: a file on this machine by its size and time too.

        One that stands there several times is several images.
        """
        seen: Counter[str] = Counter()
        for ref in self._found.refs:
            seen[ref] += 1
            stamp = _stamp(ref) if self._found.folder is not None else ""
            yield f"{ref}\n{stamp}\n{seen[ref]}", ref

    def ended(self) -> DetectRun | None:
        """The run, if it ended earlier and nothing is left to ask about; None if it has to be run.

        Raises
        ------
        InvalidArgument
            The output holds something else, or the journal of what it holds is somewhere else.
        NotFound
            What the output holds cannot be known, or its results were removed.
        """
        begun = self._journal.exists()
        record = storage.join(self._output, RUN_NAME)
        text = storage.read_if_there(record, session=self._session)
        if text is None:
            results = storage.join(self._output, manifests.RESULTS_NAME)
            if not begun and storage.exists(results, session=self._session):
                raise self._taken()
            return None
        try:
            known = json.loads(text)
            if "journal" in known:
                if begun:
                    self._goes_on = True
                    return None
                raise InvalidArgument(_elsewhere(self._output, known["journal"]["folder"], known["journal"]["host"]))
            identity, counts = known["identity"], (known["images"], known["failed"], 0, known["unsettled"])
        except (ValueError, KeyError, TypeError):
            raise self._taken() from None
        if identity != self.identity:
            raise self._taken()
        outcome = self._outcome(*counts)
        if not storage.exists(outcome.results_uri, session=self._session):
            raise NotFound(
                f"{outcome.results_uri}: is gone, though {RUN_NAME} beside it says that this run has ended; put it "
                f"back, or remove {record} to ask about all images again."
            )
        return outcome

    def _taken(self) -> InvalidArgument:
        return InvalidArgument(
            f"{self._output}: holds results of other images or settings; name another output for this run."
        )

    def begin(self, journal: Journal) -> None:
        """Says in the output where the journal is, before the first image is paid for. Raises as `storage.write`.

        Raises
        ------
        InvalidArgument
            Another run has begun there since this one looked.
        """
        record = self._record(self._outcome(0, 0, 0, 0), begun=True)
        if self._goes_on:
            self._put(RUN_NAME, record)
        elif not storage.write_new(storage.join(self._output, RUN_NAME), record, session=self._session):
            if journal.new:  # else it would stand for a run that has begun
                journal.remove()
            raise InvalidArgument(
                f"{self._output}: another run has just begun there; run the same again once it has ended, or name "
                f"another output."
            )

    def write(self, journal: Journal, requests: int) -> DetectRun:
        """Summary, results and the run's own record, in this order: results never stand without the summary."""
        errors = journal.errors()
        images = len(self._found) + journal.gone
        self._put(manifests.SUMMARY_NAME, manifests.Summary(images, tuple(errors)).to_json())
        self._put_lines(manifests.RESULTS_NAME, journal)
        outcome = self._outcome(images, len(errors), requests, journal.unsettled())
        self._put(RUN_NAME, self._record(outcome, begun=False))
        return outcome

    def _outcome(self, images: int, failed: int, requests: int, unsettled: int) -> DetectRun:
        return DetectRun(
            self._output, self._floor, self._project_version, images, failed, requests, unsettled,
            session=self._session,
        )  # fmt: skip

    def _record(self, run: DetectRun, *, begun: bool) -> bytes:
        record: dict[str, Any] = {
            "version": 1, "identity": self.identity, "images": run.images, "failed": run.failed,
            "unsettled": run.unsettled, "min_confidence": run.min_confidence, "project_version": run.project_version,
        }  # fmt: skip
        if begun or run.unsettled:  # it may go on, but only with the journal
            record["journal"] = {"host": platform.node(), "folder": str(self._journal.parent.resolve())}
            record["begun"] = secrets.token_hex(8)  # no two runs that begin say the same
        return (json.dumps(record, indent=2) + "\n").encode()

    def _put(self, name: str, data: bytes) -> None:
        storage.write(storage.join(self._output, name), data, session=self._session)

    def _put_lines(self, name: str, journal: Journal) -> None:
        """Line by line, as a collection's results need not fit in memory."""
        part = journal.folder / f".{name}.part"
        target = storage.join(self._output, name)
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


def _place(output: str, journal: Path) -> str:
    """What a journal calls its output."""
    if storage.is_s3(output):
        return output.rstrip("/")
    folder = Path(output).resolve()
    return HERE if folder == journal.resolve() else str(folder)


def _elsewhere(output: str, folder: str, host: str) -> str:
    return (
        f"{output}: holds a run that has not ended, and its answers are in the journal in {folder} on {host}; go on "
        f"there, with --journal {folder} (journal=…), or name another output (if the journal is lost, remove "
        f"{storage.join(output, RUN_NAME)} to ask about all images again)."
    )


def _identity(settings: str, images: Iterable[tuple[str, str]]) -> str:
    """What tells one run that has ended from another."""
    whole = hashlib.sha256(settings.encode())
    for image, _ in images:
        whole.update(f"{image}\n".encode())
    return whole.hexdigest()


def _stamp(path: str) -> str:
    """What changes when a file does; empty where there is none any more."""
    try:
        state = Path(path).stat()
    except OSError:
        return ""
    return f"{state.st_size} {state.st_mtime_ns}"


# -- while it runs ----------------------------------------------------------------------------------------------------


class _Tally:
    """Keeps outcomes in the journal, counts requests, and moves the bar. From any thread."""

    def __init__(self, journal: Journal, failed: int, on_change: Callable[[int], None]) -> None:
        self._journal = journal
        self._failed = failed
        self._on_change = on_change
        self._lock = threading.Lock()
        self.requests = 0

    def deliver(self, outcome: Outcome) -> None:
        self._journal.keep(outcome)
        with self._lock:
            self.requests += outcome.requests
            self._failed += outcome.error is not None
            self._on_change(self._failed)


@contextmanager
def _tally(journal: Journal, total: int, progress: bool) -> Iterator[_Tally]:
    done, failed = journal.counts()
    columns = (
        TextColumn("asking about images"), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.fields[failed]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:
        row = bar.add_task("", total=total, completed=done, failed=_in_words(failed))

        def on_change(failed: int) -> None:
            bar.update(row, advance=1, failed=_in_words(failed))

        yield _Tally(journal, failed, on_change)


def _in_words(failed: int) -> str:
    return f"{failed:,} failed" if failed else ""
