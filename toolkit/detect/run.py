"""A whole collection through DetectModerationLabels."""

import hashlib
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from functools import partial
from os import PathLike
from pathlib import Path

import boto3
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from toolkit import checks, collection, constraints, storage
from toolkit.collection import Collection, Images
from toolkit.detect.ask import Entry, Outcome, Settings
from toolkit.detect.journal import FILE_NAME as JOURNAL_NAME
from toolkit.detect.journal import Journal
from toolkit.detect.outcome import DetectRun
from toolkit.detect.output import Output
from toolkit.detect.quota import DEFAULT_TPS, account_tps
from toolkit.detect.work import ask_elsewhere, ask_here
from toolkit.errors import InvalidArgument
from toolkit.results import Opener


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
        the journal is damaged; or the run has ended, and its results or its summary were removed.
    InvalidArgument
        A setting is out of its range; `executor` is none; `session` cannot be sent to its processes; the output or the
        journal is another run's, or another one has just begun; or the journal of this one is somewhere else, or gone.
    UnreadableManifest
        `detect.json` in the output is damaged, or of a newer version.
    Unreachable, RequestRefused, JobFailed
        The run cannot go on (JobFailed: the executor lost a batch, or is shut down). What was answered is kept.

    Examples
    --------
    >>> run = detect("photos", "run", min_confidence=5, tps=50)  # doctest: +SKIP
    >>> run.results().overview()  # doctest: +SKIP
    """
    settings = _checked(Settings(min_confidence, project_version), tps, concurrency, workers)
    if executor is not None and not isinstance(executor, Executor):
        raise InvalidArgument(
            f"executor is {executor!r}, not an executor; give an instance of one with submit, such as "
            f"ProcessPoolExecutor(4), or get_executor() of a Dask client."
        )
    opened = session if session is None or isinstance(session, boto3.Session) else session()
    found = images if isinstance(images, Collection) else collection.collect(images, session=opened)
    ask = (
        partial(ask_here, session=opened, concurrency=concurrency)
        if executor is None
        else partial(ask_elsewhere, session=session, executor=executor, workers=workers, concurrency=concurrency)
    )
    with _journal_folder(journal, str(output)) as folder:
        path = folder / JOURNAL_NAME
        target = Output(str(output), found, settings, path, opened)
        if (ended := target.ended()) is not None:
            return ended
        with Journal(path, target.settings, target.place, target.images()) as kept:
            if kept.gone:
                warnings.warn(_gone(kept.gone), stacklevel=2)
            target.begin(kept)
            todo = _left(found, kept)
            limit = tps if tps is not None else _limit(opened)
            with _tally(kept, len(found) + kept.gone, progress) as tally:
                ask(todo, settings, limit, tally.deliver)
            run = target.write(kept, tally.requests)
            if not run.unsettled:
                kept.remove()
    return run


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


def _left(found: Collection, journal: Journal) -> list[Entry]:
    """The images to ask about; those with a problem are left out in the journal."""
    done = journal.done()
    for line, problem in found.problems.items():
        if line not in done:
            journal.leave_out(problem)
    return [
        Entry(line, ref)
        for line, ref in enumerate(found.refs, start=1)
        if line not in done and line not in found.problems
    ]


def _limit(session: boto3.Session | None) -> float | None:
    """Requests per second where the caller names no limit."""
    return None if storage.is_local(session) else account_tps(session) or DEFAULT_TPS


def _gone(images: int) -> str:
    return (
        f"{images:,} images that were answered before this run was interrupted are not in the collection any more; "
        f"they stay in its results."
    )


@contextmanager
def _journal_folder(chosen: str | PathLike[str] | None, output: str) -> Iterator[Path]:
    """The folder for the journal. One that nobody chose is gone with the journal; other runs keep theirs beside it."""
    if chosen is not None or not storage.is_s3(output):
        yield Path(output if chosen is None else chosen)
        return
    folder = Path("modkit-detect", hashlib.sha256(output.rstrip("/").encode()).hexdigest()[:16])
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()
            folder.parent.rmdir()


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
