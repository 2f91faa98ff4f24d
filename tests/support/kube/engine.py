"""Time and work: whoever has something to do does it, then the clock goes on to the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tests.support.kube.clock import FakeClock
from tests.support.kube.store import Store
from tests.support.kube.timers import Timers

_ROUNDS = 10_000


class Worker(Protocol):
    """A part of the control plane, or all kubelets."""

    timers: Timers
    paused: bool

    def sync(self) -> bool:
        """Work off what is due; return whether there was anything."""
        ...


class Engine:
    """Moves the cluster, from one thread at a time."""

    def __init__(self, clock: FakeClock, store: Store, workers: Sequence[Worker]) -> None:
        self.crashes: list[Exception] = []
        self._clock = clock
        self._store = store
        self._workers = workers
        self._lock = threading.RLock()
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None

    def settle(self) -> None:
        """Let everybody work until nothing is left to do at this time."""
        with self._lock:
            for _ in range(_ROUNDS):
                did = False
                for worker in self._workers:
                    did |= worker.sync()
                if not did:
                    return
            raise RuntimeError("the cluster doesn't come to rest")

    def advance(self, seconds: float) -> None:
        """Move the clock, stopping at everything that is due on the way."""
        with self._lock:
            target = self._clock.seconds + seconds
            self.settle()
            while (due := self._next_due()) is not None and due <= target:
                self._clock.seconds = max(self._clock.seconds, due)
                self.settle()
            self._clock.seconds = target
            self.settle()
            self._store.wake()

    def _next_due(self) -> float | None:
        dues = [one.timers.next_due() for one in self._workers if not one.paused]
        return min((due for due in dues if due is not None), default=None)

    def run_until(self, predicate: Callable[[], bool], *, limit_s: float, step_s: float) -> None:
        """Advance until something is so.

        Raises
        ------
        AssertionError
            If it isn't within ``limit_s`` of the cluster's time.
        """
        ends = self._clock.seconds + limit_s
        self.settle()
        while not predicate():
            assert self._clock.seconds < ends, f"not so after {limit_s} s"
            self.advance(step_s)

    def go(self, speed: float, every_s: float) -> None:
        """Run by itself, in a thread."""
        self.halt()
        stop = self._stop = threading.Event()

        def loop() -> None:
            last = time.monotonic()
            while not stop.wait(every_s):
                now = time.monotonic()
                try:
                    self.advance((now - last) * speed)
                except Exception as error:
                    self.crashes.append(error)
                    return
                last = now

        self._thread = threading.Thread(target=loop, daemon=True, name="fake-cluster")
        self._thread.start()

    def halt(self) -> None:
        """Run by itself no longer."""
        if self._stop is not None and self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._stop = self._thread = None
