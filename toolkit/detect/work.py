"""Who asks: threads of this process, or the workers of an executor."""

import math
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, as_completed, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from statistics import fmean
from textwrap import shorten
from typing import Final

import boto3

from toolkit import storage
from toolkit.detect.ask import Asker, Entry, Outcome, Settings, ask_many
from toolkit.detect.rate import Learned, Rate
from toolkit.errors import InvalidArgument, JobFailed, ToolkitError
from toolkit.results import Opener

_BATCH_SECONDS: Final = 10.0
"""After so long a worker hands over what it has."""
_AHEAD: Final = 1.25
"""A worker gets more images than it will do in that time: so one that is to be asked about again later is handed over
with them, and keeps no others waiting."""
_ANSWER_SECONDS: Final = 20.0
"""An answer takes no longer, unless the service hangs."""
_LEAST_SECONDS: Final = 1.0
"""Work that is worth a batch."""
_WORTH_A_WORKER: Final = 10.0
"""Requests per second. With fewer a worker learns too slowly how many the service lets through."""
_UNLIMITED_THREADS: Final = 4
_MOST_THREADS: Final = 64
_UNLIMITED_PACE: Final = 20.0
"""Images per second of a worker of which nobody knows yet."""
_UNSENT: Final = (pickle.PicklingError, AttributeError, TypeError)
"""What sending an object to another process raises where it cannot be sent."""

Deliver = Callable[[Outcome], None]


@dataclass(frozen=True)
class Batch:
    """What comes back from a worker: answers have been paid for, whatever ended the batch.

    Attributes
    ----------
    outcomes
        Of the images that were asked about.
    learned
        Of the rate.
    seconds
        That it took.
    left
        Images for which there was no time.
    error
        What ended it early; None if nothing did.
    """

    outcomes: list[Outcome]
    learned: Learned
    seconds: float
    left: list[Entry] = field(default_factory=list)
    error: BaseException | None = None


@dataclass
class _Part:
    """One worker's part of the rate, and what the last batch that had it found: the rate, and images per second."""

    learned: Learned
    pace: float


@dataclass(frozen=True)
class _Assignment:
    """What the next batch gets: images, parts of the rate, and the limit and the rate that these are."""

    entries: list[Entry]
    parts: list[_Part]
    limit: float | None
    learned: Learned


class _Scheduler:
    """Says what the next batch is: the one place that divides images and rate.

    All parts of the rate are alike, whatever each batch found of its own: together they are what the account serves,
    even if one worker got all of it and left the others nothing. Towards the end batches get smaller, so that all
    workers are done at about the same time; where there are too few images for all, a batch gets several parts.

    Parameters
    ----------
    entries
        All images.
    limit
        Requests per second of all workers together.
    workers
        Batches that are out at a time, at most.
    """

    def __init__(self, entries: Iterable[Entry], limit: float | None, workers: int) -> None:
        self._todo = deque(entries)
        self._limit = None if limit is None else limit / workers
        self._parts = [_Part(Learned(self._limit), self._limit or _UNLIMITED_PACE) for _ in range(workers)]
        self._idle = list(self._parts)

    def next_batch(self) -> _Assignment | None:
        """The next batch; None if there are no images, or no worker is free."""
        if not self._todo or not self._idle:
            return None
        pace = fmean(part.pace for part in self._parts)
        fair = max(len(self._todo) / len(self._parts), pace * _LEAST_SECONDS)
        size = max(1, math.ceil(min(fair, pace * _BATCH_SECONDS * _AHEAD)))
        batches = min(len(self._idle), math.ceil(len(self._todo) / size))
        parts = [self._idle.pop() for _ in range(len(self._idle) // batches)]
        entries = [self._todo.popleft() for _ in range(min(size, len(self._todo)))]
        limit = None if self._limit is None else self._limit * len(parts)
        return _Assignment(entries, parts, limit, replace(parts[0].learned, per_second=self._rate(len(parts))))

    def take_back(self, parts: Sequence[_Part], batch: Batch) -> None:
        """Learns from a batch that came back, and takes the images that it had no time for."""
        rate = batch.learned.per_second
        for part in parts:
            part.learned = replace(batch.learned, per_second=None if rate is None else rate / len(parts))
            part.pace = len(batch.outcomes) / batch.seconds / len(parts)
        self._idle.extend(parts)
        self._todo.extendleft(reversed(batch.left))

    def _rate(self, parts: int) -> float | None:
        """Requests per second of so many parts; None as long as no worker was slowed down."""
        rates = [part.learned.per_second for part in self._parts]
        if all(rate is None for rate in rates):
            return None
        return parts * fmean(part.pace if rate is None else rate for part, rate in zip(self._parts, rates, strict=True))


def ask_here(
    entries: Sequence[Entry],
    settings: Settings,
    limit: float | None,
    deliver: Deliver,
    *,
    session: boto3.Session | None,
    concurrency: int | None,
) -> None:
    """Asks about images on threads of this process. Raises as `ask_many`."""
    _ask(entries, settings, Rate(limit), deliver, session, concurrency or _threads(limit), threading.Event())


def ask_elsewhere(
    entries: Sequence[Entry],
    settings: Settings,
    limit: float | None,
    deliver: Deliver,
    *,
    session: Opener | None,
    executor: Executor,
    workers: int,
    concurrency: int | None,
) -> None:
    """Asks about images on an executor's workers, each with its share of the rate and of the concurrency.

    What the workers learn of the rate goes on with the next batches.

    Parameters
    ----------
    deliver
        Called here, on this thread, when a batch comes back.
    workers
        Batches that are out at a time, at most: fewer where limit or concurrency are not worth so many workers.

    Raises
    ------
    JobFailed
        The executor lost a batch, such as by a worker's death, or took none; what it raised is the cause.
    InvalidArgument
        `session` cannot be sent to its processes.
    Exception
        As `ask_many`; after what is out has come back.
    """
    if limit is not None:
        workers = min(workers, max(1, int(limit / _WORTH_A_WORKER)))
    if concurrency is not None:
        workers = min(workers, concurrency)
    share = None if limit is None else limit / workers
    threads = _threads(share) if concurrency is None else max(1, concurrency // workers)
    scheduler = _Scheduler(entries, limit, workers)
    # Long enough for one request, however low the limit is.
    longest = _BATCH_SECONDS if share is None else max(_BATCH_SECONDS, 2 / share)
    running: dict[Future[Batch], list[_Part]] = {}
    try:
        while True:
            while (given := scheduler.next_batch()) is not None:
                seconds = longest if given.limit is None else max(_BATCH_SECONDS, 2 / given.limit)
                work = (given.entries, settings, given.limit, given.learned, session, threads, seconds)
                try:
                    running[executor.submit(_ask_batch, *work)] = given.parts
                except Exception as error:  # the executor's own, of whatever kind: such as that it was shut down
                    raise _lost(error, session) from error
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                back = _take(future, deliver, session)
                parts = running.pop(future)
                if back.error is not None:
                    raise back.error
                scheduler.take_back(parts, back)
    finally:
        _bring_home(running, deliver, session, longest + _ANSWER_SECONDS)


def _take(future: Future[Batch], deliver: Deliver, session: Opener | None) -> Batch:
    """Hands over what came back."""
    try:
        batch = future.result()
    except Exception as error:  # the executor's own, of whatever kind: a batch says itself what ended it
        raise _lost(error, session) from error
    for outcome in batch.outcomes:
        deliver(outcome)
    return batch


def _lost(error: Exception, session: Opener | None) -> ToolkitError:
    said, _, _ = str(error).partition(". ")  # one sentence of it
    why = shorten(f"{type(error).__name__}: {said}", 200, placeholder=" …").rstrip(".")
    if isinstance(error, _UNSENT) and not _can_be_sent(session):
        return InvalidArgument(
            f"session cannot be sent to the executor's processes ({why}); give a function of a module that makes one."
        )
    # What is of `__main__` goes to some processes, and not to others.
    doubtful = session is not None and getattr(session, "__module__", None) in {None, "__main__"}
    module = "; if it happens again, `session` must be a function of a module that the workers can import"
    return JobFailed(
        f"the executor lost a batch ({why}); every answer that had come back is in the journal: run the "
        f"same again, with a new executor, to go on{module if doubtful else ''}."
    )


def _can_be_sent(session: Opener | None) -> bool:
    try:
        pickle.dumps(session)
    except _UNSENT:
        return False
    return True


def _bring_home(running: Collection[Future[Batch]], deliver: Deliver, session: Opener | None, seconds: float) -> None:
    """Waits for the batches that are being asked about, as they are paid for, but no longer than this.

    As a rule it takes ten seconds and the time of an answer; a second Ctrl-C ends it.
    """
    # Dask's futures never say that they run, and would let themselves be cancelled while they do.
    known = any(future.running() for future in running)
    out = [future for future in running if not (known and future.cancel())]
    try:
        for future in as_completed(out, timeout=seconds):
            with suppress(Exception):  # what ended the run is worth more
                _take(future, deliver, session)
    except TimeoutError:  # such as of a cluster that has lost its workers
        for future in out:
            future.cancel()


def _ask_batch(
    entries: Sequence[Entry],
    settings: Settings,
    limit: float | None,
    learned: Learned,
    session: Opener | None,
    threads: int,
    seconds: float,
) -> Batch:
    """Asks about the images of a batch, for so many seconds. Runs where the executor says."""
    began = time.monotonic()
    rate = Rate(limit, learned)
    outcomes: list[Outcome] = []
    left: list[Entry] = []
    ended_by: BaseException | None = None
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set)
    try:
        opened = session if session is None or isinstance(session, boto3.Session) else session()
        timer.start()
        left = _ask(entries, settings, rate, outcomes.append, opened, threads, stop)
    # Ctrl-C reaches the processes of a pool too.
    except (Exception, KeyboardInterrupt) as error:
        ended_by = error
    finally:
        timer.cancel()
    return Batch(outcomes, rate.learned, time.monotonic() - began, left, ended_by)


def _ask(
    entries: Sequence[Entry],
    settings: Settings,
    rate: Rate,
    deliver: Deliver,
    session: boto3.Session | None,
    threads: int,
    stop: threading.Event,
) -> list[Entry]:
    """Asks about images until `stop`, and returns those for which there was no time. Raises as `ask_many`."""
    if not entries:
        return []
    threads = min(threads, len(entries))
    asker = Asker(session or storage.connect(), settings, rate, threads, stop)
    return ask_many(entries, asker.ask, deliver, threads=threads, stop=stop)


def _threads(limit: float | None) -> int:
    """One for each request of a second: an answer takes that long at most. Most of them wait for the next token; those
    that do not are in flight, and are lost when the process is killed.
    """
    return _UNLIMITED_THREADS if limit is None else min(_MOST_THREADS, max(4, math.ceil(limit)))
