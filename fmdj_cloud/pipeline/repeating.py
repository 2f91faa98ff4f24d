"""Transactions that had to make way for others are made again, a few times."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from fmdj_cloud.errors import DeadlockError

if TYPE_CHECKING:
    from fmdj_cloud.pipeline.database import Database

_log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")


class HasDatabase(Protocol):
    """Whatever changes a database through one connection."""

    database: Database


T = TypeVar("T", bound=HasDatabase)


@dataclass(frozen=True)
class Repeating:
    """How often, and for how long, a transaction is repeated that the server ended in favour of another.

    Attributes
    ----------
    pauses_s : tuple of float
        Before each repetition, seconds: whoever was let go first needs a moment.
    patience_s : float
        No repetition begins later than so many seconds after the first try: where the server waits long before it
        gives up (50 s on MySQL), whoever leads must look up before its liveness probe does.
    sleep : callable
        Takes seconds.
    clock : callable
        Seconds, monotonic.
    """

    pauses_s: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0)
    patience_s: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def call(self, change: Callable[[], R]) -> R:
        """Make a change that is a transaction of its own, or several that may be repeated.

        Raises
        ------
        DeadlockError
            If others were let go first every time.
        """
        began = self.clock()
        for pause in self.pauses_s:
            try:
                return change()
            except DeadlockError as error:
                if self.clock() - began + pause > self.patience_s:
                    raise
                _log.info("%s Doing so in %.0f ms.", error.sentence, pause * 1000)
                self.sleep(pause)
        return change()


REPEATING = Repeating()
"""As connections do by default."""


def repeated(method: Callable[Concatenate[T, P], R]) -> Callable[Concatenate[T, P], R]:
    """Have a method that changes the database repeated as its connection says (:meth:`Database.repeated`)."""

    def call(self: T, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.database.repeated(lambda: method(self, *args, **kwargs))

    functools.update_wrapper(call, method)
    return call
