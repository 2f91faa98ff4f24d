"""A command in a pod that ends with whoever started it.

``kubectl exec`` passes no signal on, and what it started goes on when kubectl is gone. For commands that have no end
of their own, the plugin holds their standard input and writes nothing into it: its end is the end of the plugin, or
of the connection.
"""

from __future__ import annotations

import os
import signal
import threading

VARIABLE = "KUBECTL_FMDJ"
"""Set by the plugin for commands that end with their standard input. (`FMDJ_*` are settings.)"""
LIFELINE = "lifeline"
_GRACE_S = 10.0


def hold_if_asked(stdin: int = 0, grace_s: float = _GRACE_S) -> None:
    """Interrupt this process when its standard input ends, if the plugin asked for that.

    Parameters
    ----------
    stdin : int
        File descriptor that is watched.
    grace_s : float
        From the interruption to the hard end, seconds.
    """
    if os.environ.pop(VARIABLE, "") == LIFELINE:
        threading.Thread(target=_watch, args=(stdin, grace_s), name="lifeline", daemon=True).start()


def _watch(stdin: int, grace_s: float) -> None:
    while _is_held(stdin):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(grace_s)
    os._exit(128 + signal.SIGINT)


def _is_held(stdin: int) -> bool:
    """Wait for a word on the line; False when it is cut."""
    try:
        return bool(os.read(stdin, 4096))
    except OSError:
        return False
