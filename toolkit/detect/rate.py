"""How often to ask: a token bucket whose rate follows what the service lets through."""

import threading
import time
from collections.abc import Callable
from typing import Final

_BURST: Final = 0.1
"""Seconds' worth of tokens that the bucket holds: threads wake up late, and what was missed may be caught up with."""
_WINDOW: Final = 2.0
"""Seconds after which the rate is looked at again …"""
_ENOUGH: Final = 20
"""… once there were so many answers."""
_TOO_MANY: Final = 0.25
"""Share of refusals from which the limit must be lower than thought. Single ones are weather."""
_GROWTH: Final = 1.1
_LEAST: Final = 1.0
"""Requests per second that are always tried."""


class Rate:
    """A token bucket, shared by threads.

    A request takes a token; one that was refused gives it back, as nothing was served. When more than a quarter of the
    requests of two seconds are refused, the rate falls to what was served in that time, and afterwards grows by a tenth
    every two seconds, at most to the limit.

    Parameters
    ----------
    limit
        Requests per second; None knows none, and goes as fast as the service lets it.
    begin
        Requests per second to begin with; None begins at the limit.
    clock
        Seconds; it never goes back.
    """

    def __init__(
        self, limit: float | None, begin: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._rate = limit if begin is None else begin
        self._next = self._began = clock()
        self._served = self._refused = 0

    @property
    def per_second(self) -> float | None:
        """Requests per second now; None is as many as can be."""
        return self._rate

    def take(self) -> float:
        """Takes the next token; seconds to wait until it is there."""
        with self._lock:
            now = self._clock()
            if self._rate is None:
                return 0.0
            at = max(self._next, now - _BURST)
            self._next = at + 1 / self._rate
            return max(0.0, at - now)

    def served(self) -> None:
        """One request was answered."""
        with self._lock:
            self._served += 1
            self._look_back()

    def refused(self) -> None:
        """One request was throttled, or failed for no fault of its own."""
        with self._lock:
            self._refused += 1
            if self._rate is not None:
                self._next -= 1 / self._rate
            self._look_back()

    def _look_back(self) -> None:
        now = self._clock()
        passed, asked = now - self._began, self._served + self._refused
        if passed < _WINDOW or asked < _ENOUGH:
            return
        if self._refused > _TOO_MANY * asked:
            self._rate = max(_LEAST, self._served / passed)
            self._next = max(self._next, now)
        elif self._rate is not None:
            self._rate = min(self._rate * _GROWTH, self._limit or float("inf"))
        self._began, self._served, self._refused = now, 0, 0
