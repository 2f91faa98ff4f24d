"""Commands that go on until they are interrupted: kubectl as a child, whose end is told to the pod.

With a terminal in the pod, ``kubectl exec`` leaves what it started running there when the window is closed or the
laptop loses its network, in the memory of the controller's pod. So these commands get none: their standard input is a
line that this process holds (:mod:`fmdj_cloud.kubectl.lifeline`). Cutting it interrupts the command in order, and
what it still has to say arrives.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_S = 10.0


class _AskedError(Exception):
    """Somebody wants an end."""


def _ask(_number: int, _frame: FrameType | None) -> None:
    raise _AskedError


def follow(command: Sequence[str], grace_s: float = _GRACE_S) -> int:
    """Run a command until it ends or this process is asked to, and return its exit code.

    Parameters
    ----------
    command : sequence of str
        A call of kubectl.
    grace_s : float
        From cutting the line to killing kubectl, seconds.
    """
    before = {number: signal.signal(number, _ask) for number in _SIGNALS}
    reader, writer = os.pipe()
    try:
        with open(writer, "wb") as line, open(reader, "rb") as end:
            # a process group of its own: Ctrl-C reaches this process, and through it the pod, but not kubectl
            process = subprocess.Popen(command, stdin=end, process_group=0)
            try:
                code = process.wait()
            except _AskedError:
                line.close()
                code = _end(process, grace_s)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _end(process: subprocess.Popen[bytes], grace_s: float) -> int:
    """Wait for the end; kill kubectl if it takes too long, or if somebody asks again."""
    try:
        return process.wait(grace_s)
    except (_AskedError, subprocess.TimeoutExpired):
        process.kill()
        return process.wait()
