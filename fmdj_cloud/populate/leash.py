"""The process beside a worker of ``populate()``: ``python leash.py JSON``. The worker never outlives its owner.

Its standard input is a pipe from the process that called ``populate()``. Every 8 bytes in it are a time
(double, seconds of the boot clock) at which the owner has shown itself to the database: when the last one is
too long ago, because the owner hangs, sleeps or can't reach the database, the worker is killed, before
anybody else may take its task. When the pipe closes, the owner is dead: likewise. A time of -1 asks for an
orderly end. The last line of standard output is how the worker ended, as JSON.

Standard library only, as the local launcher's supervisor, for the same reasons.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from typing import Any

STOP = -1.0
"""Sent instead of a time: end the worker in order."""
_TIME = struct.Struct("<d")
_POLL_S = 0.2
_PR_SET_PDEATHSIG = 1
_OURS = (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE)
"""Ignored here: the owner's terminal is not ours, and a dead owner is told by the end of the pipe."""


def boot_s() -> float:
    """Return seconds of the clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def message(when: float) -> bytes:
    """Return what the owner writes: a time, or `STOP`."""
    return _TIME.pack(when)


def hold(job: dict[str, Any]) -> dict[str, Any]:
    """Run a worker to its end, and return how it ended.

    Parameters
    ----------
    job : dict
        `command` (list of str), `output` (file that gets what it writes, in a folder of its own), `since` (time
        of the owner's first sign), `silent_s`, `grace_s`, `deadline_s`.
    """
    parent = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True)

    def die_with_leash() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        for number in _OURS:
            signal.signal(number, signal.SIG_DFL)

    result: dict[str, Any] = {"exit_code": None, "signal": None, "stopped": False, "overdue": False, "error": ""}
    try:
        with open(job["output"], "ab") as output:
            worker = subprocess.Popen(
                job["command"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_leash,  # this process has one thread
            )
    except OSError as error:
        return {**result, "error": str(error)}
    code, stopped, overdue = _wait(worker, job)
    _kill(worker)  # what the worker started and left behind
    result |= {"stopped": stopped, "overdue": overdue}
    return {**result, "signal": -code} if code < 0 else {**result, "exit_code": code}


def _wait(worker: subprocess.Popen[bytes], job: dict[str, Any]) -> tuple[int, bool, bool]:
    """Return exit code (negative: signal), whether it was stopped, and whether for being overdue."""
    owner = _Owner(job["since"])
    overdue_at = boot_s() + job["deadline_s"]
    kill_at: float | None = None
    overdue = False
    while True:
        try:
            return worker.wait(0 if owner.is_speaking(_POLL_S) else _POLL_S / 10), owner.lost or owner.stop, overdue
        except subprocess.TimeoutExpired:
            pass
        now = boot_s()
        owner.lost = owner.lost or now - owner.seen > job["silent_s"]
        if owner.lost:
            _kill(worker)
        elif kill_at is None and (owner.stop or now > overdue_at):
            overdue = not owner.stop
            worker.send_signal(signal.SIGTERM)
            kill_at = now + job["grace_s"]
        elif kill_at is not None and now > kill_at:
            _kill(worker)


class _Owner:
    """What is heard from the process that called ``populate()``."""

    def __init__(self, since: float) -> None:
        self.seen = since
        self.stop = False
        self.lost = False
        self._rest = b""

    def is_speaking(self, timeout_s: float) -> bool:
        """Wait for a word, at most so long; take in all that was said."""
        if self.lost or not select.select([0], [], [], timeout_s)[0]:
            return False
        data = os.read(0, 4096)
        self.lost = not data
        self._rest += data
        whole = len(self._rest) // _TIME.size * _TIME.size
        for (when,) in _TIME.iter_unpack(self._rest[:whole]):
            self.stop = self.stop or when == STOP
            self.seen = max(self.seen, when)
        self._rest = self._rest[whole:]
        return True


def _kill(worker: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(worker.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def main() -> int:
    """Hold the worker that the arguments name."""
    for number in _OURS:
        signal.signal(number, signal.SIG_IGN)
    job = json.loads(sys.argv[1])
    result = hold(job)
    try:
        os.write(1, json.dumps(result).encode() + b"\n")
    except BrokenPipeError:  # nobody is left to be told, or to clean up
        shutil.rmtree(os.path.dirname(job["output"]), ignore_errors=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
