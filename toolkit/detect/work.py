"""Who asks: threads of this process, or the workers of an executor."""

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Final

import boto3

from toolkit.detect.ask import Asker, Entry, Outcome, Settings, ask_many
from toolkit.detect.rate import Rate
from toolkit.results import Opener

_BATCH_SECONDS: Final = 10.0
"""Work that is handed to a worker at once."""
_UNLIMITED_THREADS: Final = 8
_MOST_THREADS: Final = 64
_UNLIMITED_BATCH: Final = 200

Deliver = Callable[[Outcome], None]


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

    Parameters
    ----------
    deliver
        Called here, on this thread, when a batch comes back.
    workers
        Batches that are out at a time.

    Raises
    ------
    Exception
        As `ask_many`, or what the executor raises.
    """
    share = None if limit is None else limit / workers
    threads = _threads(share) if concurrency is None else max(1, concurrency // workers)
    size = _UNLIMITED_BATCH if share is None else max(1, math.ceil(share * _BATCH_SECONDS))
    todo = (list(entries[start : start + size]) for start in range(0, len(entries), size))
    rates = deque([share] * workers)  # what each worker has learned of the rate, for the batch after
    running: set[Future[tuple[list[Outcome], float | None]]] = set()
    try:
        while True:
            while rates and (batch := next(todo, None)) is not None:
                running.add(executor.submit(_ask_batch, batch, settings, share, rates.popleft(), session, threads))
            if not running:
                return
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                outcomes, rate = future.result()
                rates.append(rate)
                for outcome in outcomes:
                    deliver(outcome)
    finally:
        for future in running:
            future.cancel()


def _ask_batch(
    entries: Sequence[Entry],
    settings: Settings,
    limit: float | None,
    begin: float | None,
    session: Opener | None,
    threads: int,
) -> tuple[list[Outcome], float | None]:
    """Outcomes of a batch, and the rate that it ended with. Runs where the executor says."""
    opened = session if session is None or isinstance(session, boto3.Session) else session()
    outcomes: list[Outcome] = []
    rate = Rate(limit, begin)
    _ask(entries, settings, rate, outcomes.append, opened, threads)
    return outcomes, rate.per_second


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
    asker = Asker(session or boto3.Session(), settings, rate, threads, stop)
    ask_many(entries, asker.ask, deliver, threads=threads, stop=stop)


def _threads(limit: float | None) -> int:
    """One for each request of a second: an answer takes about that long."""
    return _UNLIMITED_THREADS if limit is None else min(_MOST_THREADS, max(4, math.ceil(limit)))
