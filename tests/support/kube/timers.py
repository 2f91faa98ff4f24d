"""What is to happen at some later time of the cluster."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from tests.support.kube.clock import FakeClock


class Timers:
    """Functions to be called when the clock has got there, in order."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call a function in so many seconds, at once for 0 or less."""
        heapq.heappush(self._heap, (self._clock() + max(seconds, 0), next(self._numbers), act))

    def next_due(self) -> float | None:
        """Return when the next is due."""
        return self._heap[0][0] if self._heap else None

    def due(self) -> Callable[[], None] | None:
        """Return the next function that is due, once."""
        if self._heap and self._heap[0][0] <= self._clock() + 1e-9:
            return heapq.heappop(self._heap)[2]
        return None
