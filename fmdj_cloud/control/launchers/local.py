"""The local launcher: one supervised process per attempt, or per shard, on this machine.

Each Job is a folder ``<state_dir>/<job name>`` (see :mod:`supervisor` for its files). The folder appears
whole, by a rename, so two controllers can't both make it; the supervisor's lock says whether it runs; what
is recorded in it lets any later controller know how it ended.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import JobObservation, JobPhase, JobRequest, Outcome
from fmdj_cloud.control.launchers import supervisor
from fmdj_cloud.control.launchers.base import LaunchError
from fmdj_cloud.control.launchers.environment import worker_environment
from fmdj_cloud.control.launchers.local_job import describe, is_held, observe_job, read_end_of_log, read_job
from fmdj_cloud.control.launchers.supervisor import JOB, LOCK, OUTPUT, STARTED, read_json, write_json
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import Settings

WORKER_COMMAND = (sys.executable, "-m", "fmdj_cloud.worker")
_START_S = 20.0
"""A supervisor has taken its lock by then, also on a busy machine."""
_KILL_S = 5.0
_UNREADABLE = (ValueError, KeyError, TypeError, PermissionError, IsADirectoryError)
"""What reading a Job of another version, or one that was damaged, may raise."""
_log = logging.getLogger(__name__)


class LocalLauncher:
    """Runs attempts as processes of this machine.

    Parameters
    ----------
    settings : Settings
        `local` (state folder, grace), `instance`, and what the worker is given.
    worker_command : sequence of str
        How a worker is started; its arguments follow.
    environment : mapping of str to str, optional
        What the worker's environment is made from; this process's by default.
    retry_pause_s : float
        Before a shard that failed is tried again for the first time, seconds.
    """

    name = "local"

    def __init__(
        self,
        settings: Settings,
        *,
        worker_command: Sequence[str] = WORKER_COMMAND,
        environment: Mapping[str, str] | None = None,
        retry_pause_s: float = 10.0,
    ) -> None:
        self._instance = settings.instance
        self._grace_s = settings.local.stop_grace_s
        self._retries = settings.controller.shard_retries
        self._retry_pause_s = retry_pause_s
        self._command = tuple(worker_command)
        self._environment = worker_environment(settings, os.environ if environment is None else environment)
        self._supervisors: list[subprocess.Popen[bytes]] = []
        self._unreadable: set[str] = set()
        """Jobs that were told to be unreadable."""
        self._root = settings.local.state_dir.expanduser().absolute()
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(f"local.state_dir={self._root} can't be made: {error.strerror}.") from error
        self._sweep()

    def create(self, request: JobRequest) -> str:
        """See :meth:`Launcher.create`."""
        with self._local_trouble(f"make the Job {request.name}"):
            return self._create(request)

    def _create(self, request: JobRequest) -> str:
        folder = self._root / request.name
        try:
            job = read_job(folder, self._instance)
        except _UNREADABLE as error:
            raise ConfigError(
                f"The Job {request.name} in {self._root} can't be read ({error!r}): once its process has ended, remove "
                "the folder, then retry."
            ) from error
        if job is not None and job["instance"] != self._instance:
            raise ConfigError(
                f"The Job {request.name} in {self._root} belongs to the installation {job['instance']!r}: give "
                "each installation its own local.state_dir."
            )
        if job is not None and job["request"]["spec_sha256"] != request.spec_sha256:
            _log.warning("Job %s has another spec and is replaced", request.name)
            self._end(request.name)
            job = None
        if job is None:
            job = self._make(folder, request)
        if not (folder / STARTED).exists():
            self._start(folder)
        return str(job["uid"])

    def observe(self) -> tuple[JobObservation, ...]:
        """See :meth:`Launcher.observe`. A Job that was made but never started counts as absent: create starts it."""
        # those that have ended are collected, else they stay in the process table
        self._supervisors = [process for process in self._supervisors if process.poll() is None]
        with self._local_trouble("look at the Jobs"):
            folders = sorted(p for p in self._root.iterdir() if not p.name.startswith(".") and p.is_dir())
            observations = [self._try_to_observe(folder) for folder in folders]
        return tuple(observation for observation in observations if observation is not None)

    def is_gone(self, name: str) -> bool:
        """See :meth:`Launcher.is_gone`. What is observed here is never late."""
        return not (self._root / name / STARTED).exists()

    def stop(self, name: str, why: Outcome | None = None) -> None:
        """See :meth:`Launcher.stop`. No process of this machine is ever given up while it runs."""
        folder = self._root / name
        started = read_json(folder / STARTED)
        if started is None:
            return
        try:
            descriptor = os.pidfd_open(int(started["pid"]))
        except ProcessLookupError:
            return
        try:
            # the lock is held, so the process that the descriptor names is still the supervisor, not a successor
            if is_held(folder / LOCK):
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        except (ProcessLookupError, PermissionError) as error:
            _log.info("Job %s can't be signalled: %s", name, error)
        finally:
            os.close(descriptor)

    def forget(self, name: str) -> None:
        """See :meth:`Launcher.forget`."""
        folder = self._root / name
        if is_held(folder / LOCK):
            return
        # renamed first: a folder is there whole or not at all
        trash = self._root / f".trash-{uuid.uuid4()}"
        with self._local_trouble(f"forget the Job {name}"), contextlib.suppress(FileNotFoundError):
            folder.rename(trash)
            shutil.rmtree(trash, ignore_errors=True)

    def tell(self, name: str, what: str, sentence: str) -> None:
        """See :meth:`Launcher.tell`. Nobody looks at the processes of this machine but through the ledger."""

    def read_log(self, name: str, nonce: str = "") -> str:
        """See :meth:`Launcher.read_log`."""
        with self._local_trouble(f"read the log of {name}"):
            return read_end_of_log(self._root / name, nonce)

    @contextlib.contextmanager
    def _local_trouble(self, doing: str) -> Iterator[None]:
        """Turn what the machine refuses (a full disk, no more processes) into our error: it may pass."""
        try:
            yield
        except OSError as error:
            raise LaunchError(f"Can't {doing} in {self._root}: {error.strerror or error}.") from error

    def _make(self, folder: Path, request: JobRequest) -> dict[str, Any]:
        """Make the job's folder, or find that somebody else just has."""
        job = describe(
            request,
            folder,
            self._command,
            instance=self._instance,
            grace_s=self._grace_s,
            retries=self._retries,
            retry_pause_s=self._retry_pause_s,
        )
        temporary = self._root / f".new-{uuid.uuid4()}"
        with self._making(fcntl.LOCK_SH):
            temporary.mkdir(mode=0o700)
            write_json(temporary / JOB, job)
            try:
                temporary.rename(folder)
            except OSError as error:
                shutil.rmtree(temporary, ignore_errors=True)
                found = read_job(folder, self._instance)
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or found is None:
                    raise LaunchError(
                        f"The Job {request.name} can't be made in {self._root}: {error.strerror}."
                    ) from error
                return found
        return job

    @contextlib.contextmanager
    def _making(self, how: int) -> Iterator[None]:
        """Hold the state folder's lock, which those who make Jobs share, and whoever sweeps has alone."""
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        """Remove what controllers that were killed have left: folders not yet a Job's, or no longer one's."""
        with (
            self._local_trouble("clear up"),
            contextlib.suppress(BlockingIOError),  # another controller is making a Job; the next start sweeps
            self._making(fcntl.LOCK_EX | fcntl.LOCK_NB),
        ):
            for left in (*self._root.glob(".new-*"), *self._root.glob(".trash-*")):
                shutil.rmtree(left, ignore_errors=True)

    def _start(self, folder: Path) -> None:
        """Start a supervisor and wait until it has taken over; a second one would find the lock held."""
        with (folder / OUTPUT).open("ab") as output:
            process = subprocess.Popen(
                # by its file: it needs nothing of the package, and -I keeps the worker's PYTHON* variables away
                [sys.executable, "-I", supervisor.__file__, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,
            )
        self._supervisors.append(process)
        give_up = time.monotonic() + _START_S
        while not (folder / STARTED).exists():
            if process.poll() is not None and not (folder / STARTED).exists():
                raise LaunchError(f"The supervisor of {folder.name} ended at once: see {folder / OUTPUT}.")
            if time.monotonic() > give_up:
                raise LaunchError(f"The supervisor of {folder.name} hasn't started within {_START_S:.0f} s.")
            time.sleep(0.01)

    def _end(self, name: str) -> None:
        """Stop a Job, wait until it is over, and forget it."""
        give_up = time.monotonic() + self._grace_s + _KILL_S
        while is_held(self._root / name / LOCK):
            self.stop(name)
            if time.monotonic() > give_up:
                raise LaunchError(f"The Job {name} doesn't end: stop its supervisor by hand.")
            time.sleep(0.05)
        self.forget(name)

    def _try_to_observe(self, folder: Path) -> JobObservation | None:
        """Observe a Job; one that can't be read, such as another version's, is nobody's and stops no other."""
        try:
            return observe_job(folder, self._instance)
        except _UNREADABLE as error:
            if folder.name not in self._unreadable:
                _log.warning("The Job %s can't be read and is left alone: %r", folder, error)
                self._unreadable.add(folder.name)
            phase = JobPhase.RUNNING if is_held(folder / LOCK) else JobPhase.ENDED
            return JobObservation(name=folder.name, run_id="", attempt=0, uid="", spec_sha256="", phase=phase)
