"""Requests over the network, several under way at a time; what follows from each is done by one thread alone.

An API server takes tens of milliseconds to make a Job, and now and then a second: one after the other that bounds how
many a controller can make. A request must not use the database: connections belong to the thread that made them.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol, TypeVar

S = TypeVar("S")
T = TypeVar("T")
AT_A_TIME = 8
"""Requests under way: twice what 50 Jobs a second need at 75 ms each. Every thread takes memory of its own, too."""
FEW = 4
"""So many are done one after the other."""


class Send(Protocol):
    """How a request is sent: its answer, or what it raised, is given to `then` sooner or later."""

    def __call__(self, request: Callable[[], T], then: Callable[[Callable[[], T]], None]) -> None:
        """Send `request`; `then` is called with what returns its answer, or raises."""
        ...


class Outbox:
    """Sends requests; it ends when all have been answered and followed up, or by being dropped.

    Parameters
    ----------
    at_a_time : int
        Requests that are under way at most; 1 sends each at once, in the caller's thread.
    """

    def __init__(self, at_a_time: int) -> None:
        self._most = at_a_time
        self._pool = ThreadPoolExecutor(at_a_time, thread_name_prefix="outbox") if at_a_time > 1 else None
        self._then: dict[Future[Any], Callable[[], None]] = {}

    def send(self, request: Callable[[], T], then: Callable[[Callable[[], T]], None]) -> None:
        """Send a request; see :class:`Send`. Earlier ones that have been answered are followed up first."""
        if self._pool is None:
            then(request)
            return
        self._follow_up(room=True)
        context = contextvars.copy_context()
        future = self._pool.submit(context.run, request)
        self._then[future] = lambda: context.run(then, future.result)

    def settle(self) -> None:
        """Wait until all have been answered and followed up; if that raises, the rest is dropped."""
        try:
            while self._then:
                self._follow_up(room=False)
        finally:
            self.drop()

    def drop(self) -> None:
        """Don't send what hasn't begun, wait for what is under way, and let nothing follow from it."""
        self._then.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _follow_up(self, *, room: bool) -> None:
        """Follow up what has been answered; wait for at least one if there is no room for more, or none is wanted."""
        must = not room or len(self._then) >= self._most
        done, _ = wait(self._then, timeout=None if must else 0, return_when=FIRST_COMPLETED)
        for future in [one for one in self._then if one in done]:
            self._then.pop(future)()


def in_advance(
    items: Iterable[S], prepare: Callable[[S], Callable[[], T]], at_a_time: int
) -> Generator[tuple[S, Callable[[], T]]]:
    """Yield items with what returns the answer about each, in their order, while those after it are being asked.

    Parameters
    ----------
    items : iterable
    prepare : callable
        Returns the request about an item; called by the caller's thread.
    at_a_time : int
        Requests that are under way at most; with 1 each is sent when its answer is asked for.
    """
    if at_a_time <= 1:
        for item in items:
            yield item, prepare(item)
        return
    pool = ThreadPoolExecutor(at_a_time, thread_name_prefix="ahead")
    asked: deque[tuple[S, Future[T]]] = deque()
    try:
        for item in items:
            asked.append((item, pool.submit(contextvars.copy_context().run, prepare(item))))
            if len(asked) == at_a_time:
                first, future = asked.popleft()
                yield first, future.result
        for first, future in asked:
            yield first, future.result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
