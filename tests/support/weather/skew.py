"""A clock that is wrong, in one process: ``FMDJKILL_SKEW`` holds seconds by role, as JSON."""

from __future__ import annotations

import datetime
import json
import os
import time
from typing import Any

VARIABLE = "FMDJKILL_SKEW"


def skew_from_environment(role: str) -> None:
    """Put the time of day of this process off, as the environment says; what measures durations goes on as it is."""
    seconds = json.loads(os.environ.get(VARIABLE, "{}")).get(role, 0.0)
    if seconds:
        skew(seconds)


def skew(seconds: float) -> None:
    """Put the time of day of this process off.

    Parameters
    ----------
    seconds : float
        Ahead; negative for behind.
    """
    true_time, true_type, off = time.time, datetime.datetime, datetime.timedelta(seconds=seconds)

    class AnyDatetime(type(true_type)):  # type: ignore[misc]
        """What drivers and libraries made of the true type are dates and times still."""

        def __instancecheck__(cls, thing: object) -> bool:
            return isinstance(thing, true_type)

        def __subclasscheck__(cls, other: type) -> bool:
            return issubclass(other, true_type)

    class Wrong(true_type, metaclass=AnyDatetime):
        """A clock on the wall that nobody has set."""

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return true_type.now(tz) + off

        @classmethod
        def utcnow(cls) -> Any:
            return true_type.now(datetime.UTC).replace(tzinfo=None) + off

    time.time = lambda: true_time() + seconds
    time.time_ns = lambda: int((true_time() + seconds) * 1e9)
    datetime.datetime = Wrong  # type: ignore[misc]
