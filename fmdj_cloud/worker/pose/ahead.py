"""An iterator that runs in a thread of its own, a few items ahead of whoever takes them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_LOOK_S = 0.2


class Ahead(Generic[T]):
    """Runs an iterator ahead; what it raises is raised where its items are taken.

    Parameters
    ----------
    items : iterator
    depth : int
        Items that may wait.
    """

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items = items
        self._waiting: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ahead", daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return self._taken()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _taken(self) -> Iterator[T]:
        while True:
            item, error = self._waiting.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put((item, None)):
                    return
            self._put((None, None))
        except BaseException as error:  # whatever it is, it belongs to whoever waits for the items
            self._put((None, error))

    def _put(self, what: tuple[T | None, BaseException | None]) -> bool:
        """Put an item where it waits; False if nobody wants it any more."""
        while not self._over.is_set():
            try:
                self._waiting.put(what, timeout=_LOOK_S)
            except queue.Full:
                continue
            return True
        return False
