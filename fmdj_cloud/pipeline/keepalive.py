"""Notice that a server has gone without a word: a cut cable, a machine that lost power, a firewall that forgot us.

Without this a program that waits for an answer waits for as long as the kernel's defaults say: two hours on Linux.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

IDLE_S = 30
"""A connection on which nothing was heard for so long is probed."""
INTERVAL_S = 10
"""And again so often."""
PROBES = 6
"""After so many without an answer it is lost."""
UNANSWERED_S = IDLE_S + INTERVAL_S * PROBES
"""So long what was sent may be without a receipt; as long as probing takes, so that both end alike."""


def keep_alive(connection: Any) -> None:
    """Let the kernel end a driver's connection whose other end is silent for a minute and a half.

    Parameters
    ----------
    connection : object
        Of psycopg2 (``fileno()``) or PyMySQL (``_sock``). One over a Unix socket is left as it is: its server is on
        this machine, and can't be gone without a word.
    """
    found = getattr(connection, "_sock", connection)
    with contextlib.closing(socket.socket(fileno=os.dup(found.fileno()))) as own:
        if own.family not in (socket.AF_INET, socket.AF_INET6):
            return
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", IDLE_S),
            ("TCP_KEEPINTVL", INTERVAL_S),
            ("TCP_KEEPCNT", PROBES),
            ("TCP_USER_TIMEOUT", UNANSWERED_S * 1000),
        ):
            if (option := getattr(socket, name, None)) is not None:  # Linux has them all, other systems some
                own.setsockopt(socket.IPPROTO_TCP, option, value)
