"""So many per second in the long run, and a few at once: a token bucket."""

from __future__ import annotations

import threading
from collections.abc import Callable


class TokenBucket:
    """Makes its callers wait so that they keep to a rate, in the order in which they come. Any thread may ask.

    Parameters
    ----------
    rate_per_s : float
        How often in the long run.
    burst : int
        How often at once, after a quiet time.
    clock : callable
        Monotonic seconds.
    sleep : callable
        Waits so many seconds.
    """

    def __init__(
        self, rate_per_s: float, burst: int, *, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._rate = rate_per_s
        self._burst = float(burst)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._tokens = self._burst
        """Below zero: taken in advance by those who wait."""
        self._at = clock()

    def take(self) -> None:
        """Take a token; wait for it if there is none."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - 1.0
            self._at = now
            wait_s = -self._tokens / self._rate
        if wait_s > 0:
            self._sleep(wait_s)
