"""The API server's time of day, which Kubernetes' timestamps are compared with.

This machine's clock may be an hour off: then every patience would end at once, or never.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import logging
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)
_LATE_S = 5.0
"""An answer that took longer says little about the time."""
_SLACK_S = 2.0
"""The header counts whole seconds: what differs less agrees."""
_WORTH_TELLING_S = 60.0


class ServerTime:
    """Returns the API server's time of day, UTC, as its answers tell it; this machine's until the first one.

    Any thread may ask and tell.

    Parameters
    ----------
    now : callable
        Time of day of this machine.
    """

    def __init__(self, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> None:
        self._now = now
        self._ahead = dt.timedelta()
        """By how much the API server's clock is ahead."""
        self._told = False
        self._lock = threading.Lock()

    def __call__(self) -> dt.datetime:
        """Return the time."""
        return self._now() + self._ahead

    def hear(self, date: str | None, took_s: float) -> None:
        """Take the ``Date`` header of an answer that has just come; one that can't be read says nothing.

        Parameters
        ----------
        date : str or None
        took_s : float
            From the request to the answer, seconds.
        """
        if date is None or not took_s <= _LATE_S:
            return
        try:
            heard = email.utils.parsedate_to_datetime(date)
            ahead = heard.replace(tzinfo=heard.tzinfo or dt.UTC) - self._now()
        except (ValueError, OverflowError):
            return
        # a clock that agrees, within what the header can tell, isn't moved
        seconds = ahead.total_seconds()
        with self._lock:
            self._ahead = ahead if abs(seconds) > _SLACK_S else dt.timedelta()
            news, self._told = abs(seconds) > _WORTH_TELLING_S and not self._told, abs(seconds) > _WORTH_TELLING_S
        if news:
            _log.warning(
                "This machine's clock is %.0f s %s the Kubernetes API server's, whose time is gone by for Jobs: set it "
                "right, object stores refuse requests for less.",
                abs(seconds),
                "behind" if seconds > 0 else "ahead of",
            )
