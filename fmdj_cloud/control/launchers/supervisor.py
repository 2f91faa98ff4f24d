"""The process beside each local worker: ``python supervisor.py JOBDIR``.

It lives in a session of its own, so that it outlives the controller that started it; holds a lock on the
job's folder while it lives, so that any controller can tell; starts the worker, which dies with it; passes
SIGTERM on, then SIGKILL after the grace; and records the exit atomically before it lets go of the lock.

Files in JOBDIR: ``job.json`` (written by the launcher, see :mod:`local`), ``lock``, ``started.json``
(pid; written once: a job is never started twice), ``output.log``, ``exit.json``.

Standard library only: it starts in some 50 ms and stays small beside every worker.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

JOB, LOCK, STARTED, OUTPUT, EXIT = "job.json", "lock", "started.json", "output.log", "exit.json"
_LOCK_TRIES_S = 5.0
"""Those who look whether the lock is held hold it for a moment."""
_POLL_S = 0.2
_PR_SET_PDEATHSIG = 1


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a small JSON file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return what :func:`write_json` wrote, None if there is no such file."""
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def supervise(folder: Path) -> int:
    """Run the job of a folder to its end; return 0 unless there is nothing to do.

    Parameters
    ----------
    folder : Path
        With a ``job.json``: `command` (list of str), `stop_grace_s`, `deadline_s`.
    """
    stopping = _StopRequest()
    lock = _acquire(folder / LOCK)
    if lock is None or (folder / STARTED).exists():
        return 1
    job = read_json(folder / JOB)
    if job is None:
        return 1
    write_json(folder / STARTED, {"pid": os.getpid(), "started": time.time()})
    result = _run(folder, job, stopping)
    write_json(folder / EXIT, {**result, "finished": time.time()})
    return 0


class _StopRequest:
    """SIGTERM was received."""

    def __init__(self) -> None:
        self.received = False
        signal.signal(signal.SIGTERM, self._receive)
        # the controller's terminal is not ours
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _receive(self, signum: int, frame: object) -> None:
        self.received = True


def _acquire(path: Path) -> int | None:
    """Return a descriptor that holds the lock as long as this process lives, None if another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    give_up = time.monotonic() + _LOCK_TRIES_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > give_up:
                return None
            time.sleep(0.02)


def _run(folder: Path, job: dict[str, Any], stopping: _StopRequest) -> dict[str, Any]:
    parent = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True)

    def die_with_supervisor() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    result: dict[str, Any] = {"exit_code": None, "signal": None, "stopped": False, "overdue": False, "error": ""}
    if stopping.received:
        return {**result, "exit_code": 128 + signal.SIGTERM, "stopped": True}
    try:
        with (folder / OUTPUT).open("ab") as output:
            worker = subprocess.Popen(
                job["command"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_supervisor,  # this process has one thread
            )
    except OSError as error:
        return {**result, "error": str(error)}
    code, overdue = _wait(worker, job, stopping)
    # what the worker started and left behind
    _kill_group(worker)
    result |= {"stopped": stopping.received, "overdue": overdue}
    return {**result, "signal": -code} if code < 0 else {**result, "exit_code": code}


def _wait(worker: subprocess.Popen[bytes], job: dict[str, Any], stopping: _StopRequest) -> tuple[int, bool]:
    """Return the worker's exit code (negative: signal) and whether it was ended for being overdue."""
    overdue_at = time.monotonic() + job["deadline_s"]
    kill_at: float | None = None
    overdue = False
    while True:
        try:
            return worker.wait(_POLL_S), overdue
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        if kill_at is None and (stopping.received or now > overdue_at):
            overdue = not stopping.received
            worker.send_signal(signal.SIGTERM)
            kill_at = now + job["stop_grace_s"]
        elif kill_at is not None and now > kill_at:
            _kill_group(worker)


def _kill_group(worker: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(worker.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1])))
