"""Pipelines take turns: however much one has to do, the others aren't kept waiting for all of it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def in_turn(items: Iterable[T], whose: Callable[[T], str]) -> Iterator[T]:
    """Return all items, one of each owner after the other; each owner's own order stays.

    Parameters
    ----------
    items : iterable
    whose : callable
        Returns an item's owner. Owners come in the order of their first items.
    """
    queues: dict[str, deque[T]] = {}
    for item in items:
        queues.setdefault(whose(item), deque()).append(item)
    waiting = deque(queues.values())
    while waiting:
        queue = waiting.popleft()
        yield queue.popleft()
        if queue:
            waiting.append(queue)
