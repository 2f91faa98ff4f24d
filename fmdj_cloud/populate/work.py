"""A worker on its leash: started, kept alive by signs of life, ended, and how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from fmdj_cloud.contracts import Outcome, TerminationMessage
from fmdj_cloud.control.diagnose import ProcessEnd, diagnose, vanished
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.populate import leash

_OUTPUT = "output.log"
_TERMINATION = "termination.json"
_LOG_BYTES = 256 * 1024
_MESSAGE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Leash:
    """How long a worker lives by itself.

    Attributes
    ----------
    silent_s : float
        Without a sign of life, seconds.
    grace_s : float
        From the request to stop to the kill, seconds.
    deadline_s : float
        At most, seconds.
    """

    silent_s: float
    grace_s: float
    deadline_s: float


class Work:
    """A worker that runs for as long as this process shows itself.

    Parameters
    ----------
    command : sequence of str
        The worker with all arguments but ``--termination-log``.
    environment : mapping of str to str
    folder : Path
        For what the worker writes; this object's own.
    since : float
        When this process last showed itself (:func:`now`).
    limits : Leash

    Raises
    ------
    ConfigError
        If this machine starts no process.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, since: float, limits: Leash
    ) -> None:
        self._folder = folder
        job = {
            "command": [*command, "--termination-log", str(folder / _TERMINATION)],
            "output": str(folder / _OUTPUT),
            "since": since,
            "silent_s": limits.silent_s,
            "grace_s": limits.grace_s,
            "deadline_s": limits.deadline_s,
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", leash.__file__, json.dumps(job)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=dict(environment),
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise ConfigError(f"No process can be started here: {error.strerror or error}.") from error

    def renew(self, when: float) -> None:
        """Tell the leash when this process showed itself to the database (:func:`now`, before it did)."""
        self._say(when)

    def stop(self) -> None:
        """Ask for an orderly end; :meth:`wait` tells when it is over."""
        self._say(leash.STOP)

    def wait(self, timeout_s: float | None = None) -> Outcome | None:
        """Wait for the worker's end, and return how it ended; None if it hasn't after so many seconds."""
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        give_up = None if timeout_s is None else time.monotonic() + timeout_s
        while not select.select([self._process.stdout], [], [], 0.2)[0]:
            if give_up is not None and time.monotonic() >= give_up:
                return None
        text = self._process.stdout.read()
        self._process.wait()
        if not text:
            return vanished("The process beside the worker was killed, and the worker with it.")
        return diagnose(ProcessEnd(**json.loads(text)), self._message())

    def log(self) -> str:
        """Return the end of what the worker wrote."""
        try:
            with (self._folder / _OUTPUT).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _LOG_BYTES))
                return file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def close(self) -> None:
        """Let go: a worker that still runs is killed."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def _say(self, when: float) -> None:
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        with contextlib.suppress(BrokenPipeError):  # it is over: wait() tells
            self._process.stdin.write(leash.message(when))

    def _message(self) -> TerminationMessage | None:
        try:
            with (self._folder / _TERMINATION).open("rb") as file:
                return TerminationMessage.model_validate_json(file.read(_MESSAGE_BYTES))
        except (FileNotFoundError, ValidationError):  # the worker was killed before, or while, it wrote it
            return None


def now() -> float:
    """Return the time by which signs of life go: seconds of the clock that goes on while the machine sleeps."""
    return leash.boot_s()
