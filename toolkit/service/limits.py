"""How much an account may ask for: the quotas of an endpoint, as small as a test of one's own client needs them."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from toolkit.service.faults import ProvisionedThroughputExceeded, Throttling


@dataclass(frozen=True)
class Limits:
    """Quotas of one account in one region; None is no limit.

    Parameters
    ----------
    tps
        Requests per second of each operation. Above it the answer is ProvisionedThroughputExceededException; to a
        client that goes on asking at more than twice the rate it is ThrottlingException.
    max_concurrent_jobs
        Media analysis jobs that have not ended; one more is answered with LimitExceededException.
    """

    tps: float | None = None
    max_concurrent_jobs: int | None = None


NO_LIMITS: Final = Limits()


class Throttle:
    """Counts requests against a rate.

    Parameters
    ----------
    tps
        Requests per second that are let through, for each key; None lets all through.
    clock
        Seconds; it never goes back.
    """

    def __init__(self, tps: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._tps = tps
        self._clock = clock
        self._lock = threading.Lock()
        rate, burst = tps or 0.0, max(tps or 0.0, 1.0)
        self._admitted: defaultdict[str, _Bucket] = defaultdict(lambda: _Bucket(rate, burst))
        self._attempted: defaultdict[str, _Bucket] = defaultdict(lambda: _Bucket(2 * rate, 2 * burst))

    def admit(self, key: str) -> None:
        """Lets a request pass.

        Raises
        ------
        ProvisionedThroughputExceeded, Throttling
        """
        if self._tps is None:
            return
        with self._lock:
            now = self._clock()
            if not self._attempted[key].take(now):
                raise Throttling(f"Asked far more often than {self._tps:g} times a second; wait, then slow down.")
            if not self._admitted[key].take(now):
                raise ProvisionedThroughputExceeded(f"More than {self._tps:g} requests a second; slow down and retry.")


class _Bucket:
    """A token bucket: so many tokens come in a second, and so many it holds."""

    def __init__(self, rate: float, size: float) -> None:
        self._rate = rate
        self._size = self._tokens = size
        self._at: float | None = None

    def take(self, now: float) -> bool:
        passed = now - (now if self._at is None else self._at)
        self._tokens = min(self._size, self._tokens + passed * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
