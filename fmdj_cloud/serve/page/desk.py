"""Everybody's questions, asked once: one thread asks the database, and what it says is everybody's for a while."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from fmdj_cloud.errors import BusyError

_log = logging.getLogger(__name__)
_WAITING = 32
"""Questions that may wait at a time: who asks one more is told to come back."""
_KEPT = 256
T = TypeVar("T")


class Desk:
    """Answers questions about things that only one thread may touch.

    Equal questions get one answer: while it is looked for they wait together, and afterwards it holds for `fresh_s`.

    Parameters
    ----------
    fresh_s : float
        Seconds.
    clock : callable
        Monotonic seconds.
    threads : int
        That ask.
    """

    def __init__(self, fresh_s: float, clock: Callable[[], float] = time.monotonic, *, threads: int = 1) -> None:
        self._fresh_s = fresh_s
        self._clock = clock
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="page")
        self._answers: dict[Hashable, tuple[float, Any]] = {}
        self._asked: dict[Hashable, asyncio.Future[Any]] = {}

    async def ask(self, question: Hashable, look: Callable[[], T]) -> T:
        """Return the answer to a question; what `look` raises is raised.

        Parameters
        ----------
        question : hashable
            What makes it equal to others.
        look : callable
            Finds the answer, in the thread.

        Raises
        ------
        BusyError
            If too many wait.
        """
        known = self._answers.get(question)
        if known is not None and self._clock() - known[0] < self._fresh_s:
            found: T = known[1]
            return found
        under_way = self._asked.get(question)
        if under_way is None:
            if len(self._asked) >= _WAITING:
                raise BusyError("Too many people ask at once: try again in a moment.")
            under_way = asyncio.ensure_future(self._look(question, look))
            self._asked[question] = under_way
            under_way.add_done_callback(lambda done: self._forget(question, done))
        answer: T = await asyncio.shield(under_way)  # who goes away doesn't take it from the others
        return answer

    def close(self) -> None:
        """Let the thread end."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def _look(self, question: Hashable, look: Callable[[], T]) -> T:
        answer = await asyncio.get_running_loop().run_in_executor(self._executor, look)
        now = self._clock()
        self._answers = {one: said for one, said in self._answers.items() if now - said[0] < self._fresh_s}
        if len(self._answers) < _KEPT:
            self._answers[question] = now, answer
        return answer

    def _forget(self, question: Hashable, done: asyncio.Future[Any]) -> None:
        self._asked.pop(question, None)
        if not done.cancelled() and done.exception() is not None:
            _log.debug("A look failed: %s", done.exception())
