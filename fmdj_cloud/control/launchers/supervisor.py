"""The process beside each local Job: ``python supervisor.py JOBDIR``.

It lives in a session of its own, so that it outlives the controller that started it; holds a lock on the
job's folder while it lives, so that any controller can tell; starts the worker, which dies with it; passes
SIGTERM on, then SIGKILL after the grace; and records the exit atomically before it lets go of the lock.

A Job with shards has a worker for each, a few at a time. One that fails is started anew, a few times, unless its exit
code says that this wouldn't help; once too many have failed, or one for good, the rest is stopped.

Files in JOBDIR: ``job.json`` (written by the launcher, see :mod:`local_job`), ``lock``, ``started.json``
(pid; written once: a job is never started twice), ``output.log``, ``exit.json``; for every try of a shard
``try-<shard>-<number>-<nonce>.log`` with its output, and ``....json`` with its last word.

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
import uuid
from pathlib import Path
from typing import Any

JOB, LOCK, STARTED, OUTPUT, EXIT = "job.json", "lock", "started.json", "output.log", "exit.json"
SHARD, NONCE, LAST_WORD = "{shard}", "{nonce}", "{last-word}"
"""Words of a command that stand for what each try of a shard has of its own."""
_LOCK_TRIES_S = 5.0
"""Those who look whether the lock is held hold it for a moment."""
_POLL_S = 0.2
_LOOK_S = 0.05
"""Pause between looks at several workers."""
_PR_SET_PDEATHSIG = 1
_UNDONE: dict[str, Any] = {"exit_code": None, "signal": None, "stopped": False, "overdue": False, "error": ""}


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
        With a ``job.json``: `command` (list of str), `stop_grace_s`, `deadline_s`; with shards also `shards` (how
        many), `pods` (at a time), `retries` (of each), `retry_pause_s` (before the first), `final` and `lacking` (exit
        codes) and `failed_max`.
    """
    stopping = _StopRequest()
    lock = _acquire(folder / LOCK)
    if lock is None or (folder / STARTED).exists():
        return 1
    job = read_json(folder / JOB)
    if job is None:
        return 1
    write_json(folder / STARTED, {"pid": os.getpid(), "started": time.time()})
    result = _Shards(folder, job, stopping).run() if "shards" in job else _run(folder, job, stopping)
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


class _Worker:
    """A worker that was started.

    Parameters
    ----------
    command : list of str
    output : Path
        Added to.
    job : dict

    Raises
    ------
    OSError
        If it can't be started.
    """

    def __init__(self, command: list[str], output: Path, job: dict[str, Any]) -> None:
        parent = os.getpid()
        libc = ctypes.CDLL(None, use_errno=True)

        def die_with_supervisor() -> None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)

        with output.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                preexec_fn=die_with_supervisor,  # this process has one thread
            )
        self._overdue_at = time.monotonic() + job["deadline_s"]
        self._grace_s = job["stop_grace_s"]
        self._kill_at: float | None = None
        self._overdue = False
        self._stopped = False

    def look(self, *, stop: bool, wait_s: float) -> dict[str, Any] | None:
        """Return how it ended, after having waited for that; see to it that it ends in time.

        Parameters
        ----------
        stop : bool
            Whether it shall end.
        wait_s : float
        """
        try:
            code = self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self._press(stop)
            return None
        # what the worker started and left behind
        self._kill_group()
        result = {**_UNDONE, "stopped": self._stopped or stop, "overdue": self._overdue}
        return {**result, "signal": -code} if code < 0 else {**result, "exit_code": code}

    def _press(self, stop: bool) -> None:
        now = time.monotonic()
        if self._kill_at is None and (stop or now > self._overdue_at):
            self._overdue, self._stopped = not stop, stop
            self._process.send_signal(signal.SIGTERM)
            self._kill_at = now + self._grace_s
        elif self._kill_at is not None and now > self._kill_at:
            self._kill_group()

    def _kill_group(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _run(folder: Path, job: dict[str, Any], stopping: _StopRequest) -> dict[str, Any]:
    if stopping.received:
        return {**_UNDONE, "exit_code": 128 + signal.SIGTERM, "stopped": True}
    try:
        worker = _Worker(job["command"], folder / OUTPUT, job)
    except OSError as error:
        return {**_UNDONE, "error": str(error)}
    while True:
        result = worker.look(stop=stopping.received, wait_s=_POLL_S)
        if result is not None:
            return {**result, "stopped": stopping.received}


class _Shards:
    """The workers of a Job with shards."""

    def __init__(self, folder: Path, job: dict[str, Any], stopping: _StopRequest) -> None:
        self._folder = folder
        self._job = job
        self._stopping = stopping
        self._waiting = [(0.0, shard) for shard in range(job["shards"])]
        """When each may be started, earliest first."""
        self._running: dict[int, tuple[_Worker, str]] = {}
        self._tries = [0] * job["shards"]
        self._ended: dict[int, dict[str, Any]] = {}
        self._over = False
        """Whether what still runs is of no use."""

    def run(self) -> dict[str, Any]:
        """Return how every shard that was started ended, by its number, and whether the Job was stopped."""
        while self._waiting or self._running:
            stop = self._over or self._stopping.received
            if stop:
                self._waiting.clear()
            self._start()
            for shard, (worker, nonce) in list(self._running.items()):
                result = worker.look(stop=stop, wait_s=0)
                if result is not None:
                    del self._running[shard]
                    stopped = result["stopped"] or self._stopping.received
                    self._note(shard, {**result, "stopped": stopped, "nonce": nonce})
            time.sleep(_LOOK_S)
        return {"shards": self._ended, "stopped": self._stopping.received}

    def _start(self) -> None:
        now = time.monotonic()
        due = [entry for entry in self._waiting if entry[0] <= now]
        for entry in due[: max(0, self._job["pods"] - len(self._running))]:
            self._waiting.remove(entry)
            shard, nonce = entry[1], str(uuid.uuid4())
            stem = f"try-{shard}-{self._tries[shard]}-{nonce}"
            own = {SHARD: str(shard), NONCE: nonce, LAST_WORD: str(self._folder / f"{stem}.json")}
            self._tries[shard] += 1
            try:
                command = [own.get(word, word) for word in self._job["command"]]
                self._running[shard] = (_Worker(command, self._folder / f"{stem}.log", self._job), nonce)
            except OSError as error:
                self._note(shard, {**_UNDONE, "error": str(error), "nonce": nonce})

    def _note(self, shard: int, result: dict[str, Any]) -> None:
        """Note how a try ended, and what follows."""
        self._ended[shard] = {**result, "try": self._tries[shard] - 1}
        code = result["exit_code"] if result["signal"] is None else 128 + result["signal"]
        if code == 0 or self._over or self._stopping.received:
            return
        if code in self._job["final"] or result["error"]:
            self._over = True
            return
        tried = self._tries[shard] > self._job["retries"]
        if not tried and code not in self._job["lacking"] and not result["overdue"]:
            pause = self._job["retry_pause_s"] * 2 ** (self._tries[shard] - 1)
            self._waiting.append((time.monotonic() + pause, shard))
            return
        given_up = {shard for shard, end in self._ended.items() if end["exit_code"] != 0}
        given_up -= {shard for _, shard in self._waiting} | self._running.keys()
        self._over = len(given_up) > self._job["failed_max"]


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1])))
