"""How often to ask: a token bucket whose rate follows what the service lets through."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_BURST: Final = 0.1
"""Seconds' worth of tokens that the bucket holds: threads wake up late, and what was missed may be caught up with."""
_WINDOW: Final = 2.0
"""Seconds after which the rate is looked at again."""
_ENOUGH: Final = 20
"""Answers that it takes to slow down. To grow it takes none of them: a slow worker would wait long for so many."""
_WEATHER: Final = 0.15
"""Share of refusals up to which they are weather: other requests take their place."""
_TOO_MANY: Final = 0.25
"""Share of refusals from which the limit must be lower than thought."""
_GROWTH: Final = 1.1
_LEAST: Final = 1.0
"""Requests per second that are always tried, unless the limit is lower."""


@dataclass(frozen=True)
class Learned:
    """What one `Rate` hands on to the one after it, maybe on another machine, so that nothing is learned twice.

    Attributes
    ----------
    per_second
        Requests; None is as many as can be.
    served, refused
        Requests since the rate was last looked at.
    seconds
        That is how long ago.
    wait
        Seconds until the next request may be sent.
    """

    per_second: float | None
    served: int = 0
    refused: int = 0
    seconds: float = 0.0
    wait: float = 0.0


class Rate:
    """A token bucket, shared by threads.

    A request takes a token. As long as few are refused, each of these gives its token back, as nothing was served: so
    on a bad day there are up to a sixth more requests than the rate, and what is served comes up to it. When more than
    a quarter of the requests of two seconds are refused, the limit must be lower than thought: the rate falls to what
    was served in that time, and afterwards grows by a tenth every two seconds, at most to the limit.

    Parameters
    ----------
    limit
        Requests per second; None knows none, and goes as fast as the service lets it.
    learned
        Of the rate before, which this one goes on with; None begins at the limit.
    clock
        Seconds; it never goes back.
    """

    def __init__(
        self, limit: float | None, learned: Learned | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        before = learned or Learned(limit)
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._rate = before.per_second
        self._served, self._refused = before.served, before.refused
        now = clock()
        self._began = now - before.seconds
        self._next = now + before.wait

    @property
    def per_second(self) -> float | None:
        """Requests per second now; None is as many as can be."""
        return self._rate

    @property
    def learned(self) -> Learned:
        """What the next one should know, once nobody asks with this one any more."""
        with self._lock:
            now = self._clock()
            # Later tokens than the next one were taken by threads that had no time to wait for them.
            wait = 0.0 if self._rate is None else min(max(0.0, self._next - now), 1 / self._rate)
            return Learned(self._rate, self._served, self._refused, now - self._began, wait)

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
            if self._rate is not None and self._refused <= _WEATHER * (self._served + self._refused):
                self._next -= 1 / self._rate
            self._look_back()

    def _look_back(self) -> None:
        now = self._clock()
        passed, asked = now - self._began, self._served + self._refused
        too_many = self._refused > _TOO_MANY * asked
        if passed < _WINDOW or (too_many and asked < _ENOUGH):
            return
        if too_many:
            self._rate = max(_LEAST, self._served / passed)
            if self._limit is not None:
                self._rate = min(self._rate, self._limit)
            self._next = max(self._next, now)
        elif self._rate is not None:
            self._rate = min(self._rate * _GROWTH, self._limit or float("inf"))
        self._began, self._served, self._refused = now, 0, 0
