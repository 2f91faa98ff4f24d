"""Threads that compute, each with a BLAS of one thread: results don't depend on how many there are."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from threadpoolctl import threadpool_limits

from fmdj_cloud.worker.turbo.arithmetic import Arithmetic, Blas
from fmdj_cloud.worker.turbo.shelf import Shelf

T = TypeVar("T")
R = TypeVar("R")


class Team:
    """A few threads; what they make is taken in the order in which it was asked for.

    Parameters
    ----------
    threads : int
    arithmetic : Arithmetic, optional
        What multiplies matrices; BLAS by default.
    """

    def __init__(self, threads: int, arithmetic: Arithmetic | None = None) -> None:
        self.threads = threads
        self.arithmetic = Blas() if arithmetic is None else arithmetic
        self.shelf = Shelf()
        """Arrays that its threads use again."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="turbo")

    def __enter__(self) -> Team:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def map(self, work: Callable[[T], R], items: Iterable[T], *, ahead: int = 2) -> Iterator[R]:
        """Yield what `work` makes of each item, in order.

        Parameters
        ----------
        work : callable
        items : iterable
            Taken in the thread that asks.
        ahead : int
            Items that may wait beside those that threads work on.
        """
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(self._pool.submit(work, item))
                while len(waiting) >= self.threads + ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """End the threads, once what they do is done."""
        self._pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def team(threads: int, arithmetic: Arithmetic | None = None, *, blas: int = 1) -> Iterator[Team]:
    """Give a :class:`Team`, with BLAS at so many threads in the whole process meanwhile."""
    with threadpool_limits(blas, user_api="blas"), Team(threads, arithmetic) as made:
        yield made
