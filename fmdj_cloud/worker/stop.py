"""Why a worker may have to end early: it was asked to stop, or its time is up."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from fmdj_cloud.errors import BudgetError, StoppedError

log = logging.getLogger(__name__)

GRACE_S = 8.0
"""From SIGTERM until what hangs is left hanging."""
END_S = 9.5
"""From SIGTERM until the process ends, even if clearing up hangs: the whole worker is gone within 10 s."""


class Stop:
    """Asked of everything that may take long.

    Parameters
    ----------
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._asked = threading.Event()
        self._clock = clock
        self._started = clock()
        self._budget_s: float | None = None
        self._over = False
        self._watchdogs: tuple[threading.Timer, ...] = ()

    def limit(self, seconds: float) -> None:
        """Let the time budget be `seconds` from the start of the worker."""
        self._budget_s = seconds

    def ask(self) -> None:
        """Ask everything to stop."""
        self._asked.set()

    def check(self) -> None:
        """Return if work may go on.

        Raises
        ------
        StoppedError
            If the worker was asked to stop.
        BudgetError
            If its time is up.
        """
        if self._asked.is_set():
            raise StoppedError("The worker was asked to stop before it was done: it starts again elsewhere.")
        if self._budget_s is not None and self._clock() - self._started > self._budget_s:
            raise BudgetError(
                f"The run isn't done after its time budget of {self._budget_s / 3600:.3g} h: if the recording is as "
                "it should be, give it more time (controller.min_budget_s) or more threads (worker.threads)."
            )

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than until :meth:`check` would raise."""
        if self._budget_s is not None:
            seconds = min(seconds, max(0.0, self._budget_s - (self._clock() - self._started)) + 0.001)
        self._asked.wait(seconds)

    @contextlib.contextmanager
    def on_signals(self, last_resort: Callable[[], None]) -> Iterator[None]:
        """Ask to stop when SIGTERM or SIGINT arrives.

        Parameters
        ----------
        last_resort : callable
            Called on another thread if the block inside hasn't ended :data:`GRACE_S` later, because
            something in it hangs: it must end the process. :data:`END_S` after the signal the process
            ends, whatever it does.
        """
        if threading.current_thread() is not threading.main_thread():  # only there can handlers be set
            yield
            return

        def handle(number: int, frame: FrameType | None) -> None:
            if self._asked.is_set() or self._over:
                return
            self._asked.set()
            self._watchdogs = (
                threading.Timer(GRACE_S, last_resort),
                threading.Timer(END_S, os._exit, [StoppedError.exit_code]),
            )
            for watchdog in self._watchdogs:
                watchdog.daemon = True
                watchdog.start()

        before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            self._over = True
            for watchdog in self._watchdogs:
                watchdog.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)
