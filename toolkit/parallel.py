"""Many pieces of work on any executor: threads, processes, or the machines of a Dask cluster."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD: Final = 64
"""Pieces that are handed out before the first has come back: enough for a cluster, and not ten thousand at once."""
_BATCH: Final = 16
"""Items in a piece of work that is worth a journey."""
_THREADS: Final = 4


def _batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def in_batches(
    function: Callable[[Sequence[Item]], Result], items: Sequence[Item], executor: Executor | None
) -> Iterator[Result]:
    """Results of batches of items, in their order.

    Parameters
    ----------
    function
        Takes several items.
    items
        All of them.
    executor
        Where to work. None takes threads of this process.

    Raises
    ------
    Exception
        As `spread`.
    """
    if executor is not None:
        yield from spread(function, _batches(items, _BATCH), executor)
    elif len(items) == 1:
        yield function(items)
    else:
        with ThreadPoolExecutor(min(_THREADS, len(items))) as threads:
            # Few items are shared out one by one, so that every thread has some.
            size = min(_BATCH, max(1, len(items) // (4 * _THREADS)))
            yield from spread(function, _batches(items, size), threads)


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
