"""The cluster's time: stands still until somebody moves it."""

from __future__ import annotations

import datetime as dt
import re

START = dt.datetime(2026, 1, 31, 12, 0, tzinfo=dt.UTC)
"""Where a cluster's time begins, unless it is told otherwise."""
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")
_MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")


class FakeClock:
    """Seconds since the cluster was made; called, it is a ``time.monotonic`` for whoever takes a clock.

    Only :class:`~tests.support.kube.cluster.FakeCluster` moves it, since timers fire on the way.
    """

    def __init__(self, start: dt.datetime = START) -> None:
        self.start = start
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        """Return seconds since the start."""
        return self.seconds

    def time(self) -> float:
        """Return seconds since 1970."""
        return self.start.timestamp() + self.seconds

    def now(self) -> dt.datetime:
        """Return the aware time of day, UTC."""
        return self.start + dt.timedelta(seconds=self.seconds)

    def stamp(self, later_s: float = 0) -> str:
        """Return the time as ``metav1.Time`` is written: whole seconds, UTC."""
        return (self.now() + dt.timedelta(seconds=later_s)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def micro(self) -> str:
        """Return the time as ``metav1.MicroTime`` is written."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def seconds_of(self, stamp: str) -> float:
        """Return a stamp on this clock."""
        return (dt.datetime.fromisoformat(stamp.replace("Z", "+00:00")) - self.start).total_seconds()


def is_time(text: str) -> bool:
    """Return whether Go reads a text as ``metav1.Time``."""
    return bool(_RFC3339.fullmatch(text))


def is_micro_time(text: str) -> bool:
    """Return whether Go reads a text as ``metav1.MicroTime``: exactly six decimals."""
    return bool(_MICRO.fullmatch(text))
