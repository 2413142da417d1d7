"""Many pieces of work on any executor: threads, processes, or the machines of a Dask cluster."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD: Final = 64
"""Pieces that are handed out before the first has come back: enough for a cluster, and not ten thousand at once."""
_BATCH: Final = 16


def batches(items: Sequence[Item]) -> list[Sequence[Item]]:
    """Pieces of work that are worth a journey.

    >>> [len(batch) for batch in batches(range(20))]
    [16, 4]
    """
    return [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]


def spread(function: Callable[[Item], Result], items: Iterable[Item], executor: Executor) -> Iterator[Result]:
    """Results in the order of the items.

    Parameters
    ----------
    function
        Takes one item. For other processes it must be importable there, and what it takes and gives must travel.
    items
        Taken as there is room for them.
    executor
        Any `concurrent.futures.Executor`; it is left open.

    Raises
    ------
    Exception
        The first that `function` raised, in the order of the items; what has not begun by then is cancelled.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as threads:
    ...     list(spread(abs, [-1, 2, -3], threads))
    [1, 2, 3]
    """
    running: deque[Future[Result]] = deque()
    try:
        for item in items:
            running.append(executor.submit(function, item))
            if len(running) == _AHEAD:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()
