"""Controller and loader as the processes they are everywhere else."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from fmdj_cloud.errors import ConfigError

_STOP_S = 30.0
"""A program that was asked to stop has ended by then: the worker takes at most 10 s."""


class Programs:
    """Programs under way."""

    def __init__(self, workdir: Path, processes: dict[str, subprocess.Popen[bytes]]) -> None:
        self._workdir = workdir
        self._processes = processes

    def check(self) -> None:
        """Make sure that all are still running.

        Raises
        ------
        ConfigError
            If one has ended; the sentence says where its log is.
        """
        for name, process in self._processes.items():
            if process.poll() is not None:
                log = self._workdir / f"{name}.log"
                raise ConfigError(f"The {name} ended with exit code {process.returncode}: see {log}.")


@contextlib.contextmanager
def running_programs(workdir: Path, names: tuple[str, ...] = ("controller", "loader")) -> Iterator[Programs]:
    """Run ``fmdj NAME`` for each name, logging to ``NAME.log``; stop them at the end.

    Parameters
    ----------
    workdir : Path
        Existing folder for the logs.
    names : tuple of str
        Commands of ``fmdj``; they find their settings through ``FMDJ_CONFIG``.
    """
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in names:
            with (workdir / f"{name}.log").open("ab") as log:
                processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "fmdj_cloud", name],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        yield Programs(workdir, processes)
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
