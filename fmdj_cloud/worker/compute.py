"""The computing child: a process of its own, so that it can be killed when it hangs or takes too much."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping

from fmdj_cloud.errors import DiskFullError, FmdjError, MemoryExhaustedError
from fmdj_cloud.worker.handover import ChildJob, ChildResult, Desk
from fmdj_cloud.worker.stop import Stop

log = logging.getLogger(__name__)

_POLL_S = 0.1
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OPENCV_FFMPEG_THREADS",
)
_SECRET = ("AWS_", "FMDJ_", "DJ_", "BOTO_")


class ChildCrashError(FmdjError):
    """The child ended in a way that nobody foresaw."""

    code = "crash"
    exit_code = 1


def child_environment(environment: Mapping[str, str], *, threads: int, desk: Desk) -> dict[str, str]:
    """Return the environment that the child computes in.

    Results depend on the number of BLAS threads, and libraries read it when they are loaded: it is pinned
    here. What isn't needed to compute, credentials above all, isn't there.

    Parameters
    ----------
    environment : Mapping
        The worker's own.
    threads : int
    desk : Desk
    """
    kept = {name: value for name, value in environment.items() if not name.startswith(_SECRET)}
    return {
        **kept,
        **dict.fromkeys(_THREADS, str(threads)),
        "HOME": str(desk.home),
        "TMPDIR": str(desk.home),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }


class Child:
    """The computing child of one attempt.

    Parameters
    ----------
    desk : Desk
    job : ChildJob
    module : str
        What it runs.
    """

    def __init__(self, desk: Desk, job: ChildJob, module: str = "fmdj_cloud.worker.svd.child") -> None:
        self._desk = desk
        self._job = job
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, stop: Stop) -> ChildResult:
        """Compute, and return what was made.

        Raises
        ------
        StoppedError, BudgetError
            If the worker must end first: the child is killed.
        MemoryExhaustedError
            If the child was killed by somebody else, which only the kernel does, for memory.
        DiskFullError
            If the scratch disk is full.
        ChildCrashError
            If it ended in any other way that it can't explain.
        FmdjError
            What the child has met.
        """
        desk = self._desk
        desk.home.mkdir()
        desk.put_job(self._job)
        environment = child_environment(os.environ, threads=self._job.spec.limits.threads, desk=desk)
        with desk.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, str(desk.folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        log.info("computing in process %d with %d thread(s)", self._process.pid, self._job.spec.limits.threads)
        try:
            while (code := self._process.poll()) is None:
                stop.check()
                stop.wait(_POLL_S)
        finally:
            self.kill()
        return self.judge(code)

    def kill(self) -> None:
        """Kill the child and everything that it has started; nothing happens if it has ended."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in the group
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def judge(self, code: int) -> ChildResult:
        """Return what a child that ended with `code` has made, or raise as :meth:`run` does."""
        failure = self._desk.get_failure()
        if failure is not None:
            raise failure
        if code == -signal.SIGKILL:
            raise MemoryExhaustedError(
                f"The computation was killed, most likely because it needed more than the "
                f"{self._job.spec.limits.memory_mib} MiB of memory it was given: it is tried again with more."
            )
        if code == MemoryExhaustedError.exit_code:
            raise MemoryExhaustedError("The computation found no memory any more: it is tried again with more.")
        if code == DiskFullError.exit_code:  # then there was no room to say so
            raise DiskFullError("The scratch disk is full: it is tried again with more (worker.scratch_dir).")
        result = self._desk.get_result() if code == 0 else None
        if result is None:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise ChildCrashError(f"The computation {how}: see the end of run.log and report it.")
        return result
