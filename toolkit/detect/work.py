"""Who asks: threads of this process, or the workers of an executor."""

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, as_completed, wait
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

import boto3

from toolkit import storage
from toolkit.detect.ask import Asker, Entry, Outcome, Settings, ask_many
from toolkit.detect.rate import Learned, Rate
from toolkit.results import Opener

_BATCH_SECONDS: Final = 10.0
"""Work that is handed to a worker at once."""
_WORTH_A_WORKER: Final = 10.0
"""Requests per second. With fewer a worker learns too slowly how many the service lets through."""
_UNLIMITED_THREADS: Final = 4
_MOST_THREADS: Final = 64
_UNLIMITED_BATCH: Final = 200

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
    error
        What ended it early; None if nothing did.
    """

    outcomes: list[Outcome]
    learned: Learned
    error: BaseException | None = None


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
    _ask(entries, settings, Rate(limit), deliver, session, concurrency or _threads(limit))


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

    What a worker has learned of its share goes on with its next batch.

    Parameters
    ----------
    deliver
        Called here, on this thread, when a batch comes back.
    workers
        Batches that are out at a time, at most: fewer where limit or concurrency are not worth so many workers.

    Raises
    ------
    Exception
        As `ask_many`, or what the executor raises; after what is out has come back.
    """
    if limit is not None:
        workers = min(workers, max(1, int(limit / _WORTH_A_WORKER)))
    if concurrency is not None:
        workers = min(workers, concurrency)
    share = None if limit is None else limit / workers
    threads = _threads(share) if concurrency is None else max(1, concurrency // workers)
    todo = iter(entries)
    idle = [Learned(share)] * workers
    most = math.ceil(len(entries) / workers)  # a small collection is work for all of them
    running: set[Future[Batch]] = set()
    try:
        while True:
            while idle and (batch := list(islice(todo, min(most, _size(idle[-1]))))):
                running.add(executor.submit(_ask_batch, batch, settings, share, idle.pop(), session, threads))
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                back = _take(future, deliver)
                running.discard(future)
                if back.error is not None:
                    raise back.error
                idle.append(back.learned)
    finally:
        _bring_home(running, deliver)


def _take(future: Future[Batch], deliver: Deliver) -> Batch:
    """Hands over what came back."""
    batch = future.result()
    for outcome in batch.outcomes:
        deliver(outcome)
    return batch


def _bring_home(running: Iterable[Future[Batch]], deliver: Deliver) -> None:
    """Waits for the batches that are being asked about, seconds at most, as they are paid for; the others never begin.

    A second Ctrl-C ends the waiting.
    """
    for future in as_completed([future for future in running if not future.cancel()]):
        with suppress(Exception):  # what ended the run is worth more
            _take(future, deliver)


def _ask_batch(
    entries: Sequence[Entry],
    settings: Settings,
    limit: float | None,
    learned: Learned,
    session: Opener | None,
    threads: int,
) -> Batch:
    """Asks about the images of a batch. Runs where the executor says."""
    outcomes: list[Outcome] = []
    rate = Rate(limit, learned)
    try:
        opened = session if session is None or isinstance(session, boto3.Session) else session()
        _ask(entries, settings, rate, outcomes.append, opened, threads)
    # Ctrl-C reaches the processes of a pool too.
    except (Exception, KeyboardInterrupt) as error:
        return Batch(outcomes, rate.learned, error)
    return Batch(outcomes, rate.learned)


def _size(learned: Learned) -> int:
    """Images in the next batch."""
    rate = learned.per_second
    return _UNLIMITED_BATCH if rate is None else max(1, math.ceil(rate * _BATCH_SECONDS))


def _ask(
    entries: Sequence[Entry],
    settings: Settings,
    rate: Rate,
    deliver: Deliver,
    session: boto3.Session | None,
    threads: int,
) -> None:
    if not entries:
        return
    stop = threading.Event()
    threads = min(threads, len(entries))
    asker = Asker(session or storage.connect(), settings, rate, threads, stop)
    ask_many(entries, asker.ask, deliver, threads=threads, stop=stop)


def _threads(limit: float | None) -> int:
    """One for each request of a second: an answer takes that long at most. Most of them wait for the next token; those
    that do not are in flight, and are lost when the process is killed.
    """
    return _UNLIMITED_THREADS if limit is None else min(_MOST_THREADS, max(4, math.ceil(limit)))
