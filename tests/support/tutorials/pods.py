"""Pods of the fake cluster as processes: controller, loader and real workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fmdj_cloud.control.launchers.kubernetes.volumes import SCRATCH
from tests.support.kube.behaviour import Behaviour, ContainerStart, Exit
from tests.support.kube.cluster import FakeCluster


class Process:
    """One container, which runs ``fmdj`` or the worker of this checkout."""

    def __init__(self, command: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self._message = folder / "termination-log"
        self._output = folder / "log"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                start_new_session=True,
            )

    def poll(self) -> Exit | None:
        """Return how it ended, or None."""
        code = self._process.poll()
        if code is None:
            return None
        message = self._message.read_text() if self._message.exists() else ""
        return Exit(code if code >= 0 else 128 - code, message, log=self.log())

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it, and what it has started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def log(self) -> str:
        """Return what it wrote."""
        return self._output.read_text(errors="replace")


class Pods:
    """What the fake cluster's pods do.

    Parameters
    ----------
    cluster : FakeCluster
    folder : Path
        Of logs and scratch space.
    pod_file : Path
        Environment of the programs, which the stand-in of Helm writes.
    environment : mapping of str to str
        In which workers reach the object store from here.
    """

    def __init__(self, cluster: FakeCluster, folder: Path, pod_file: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._pod_file = pod_file
        self._environment = environment
        self._started: list[Process] = []
        cluster.script(None, Behaviour(lasts_s=None, start_s=0.1, run=self._start))

    def end(self) -> None:
        """Kill what is left."""
        for process in self._started:
            process.kill()

    def logs(self) -> str:
        """Return what all of them wrote, for the story of a failure."""
        return "\n".join(process.log()[-3000:] for process in self._started)

    def _start(self, start: ContainerStart) -> Process:
        folder = Path(tempfile.mkdtemp(prefix=f"{start.name}-", dir=self._folder))
        if start.command[-1:] == ("fmdj",):
            words, environment = list(start.args), json.loads(self._pod_file.read_text())
        else:
            words, environment = list(start.args), self._of_worker(start, folder)
            words[words.index("--termination-log") + 1] = str(folder / "termination-log")
        module = "fmdj_cloud" if start.command[-1:] == ("fmdj",) else "fmdj_cloud.worker"
        process = Process([sys.executable, "-m", module, *words], environment, folder)
        self._started.append(process)
        return process

    def _of_worker(self, start: ContainerStart, folder: Path) -> dict[str, str]:
        given = {name: value.replace(SCRATCH, str(folder)) for name, value in start.env.items()}
        return {**given, **self._environment}
