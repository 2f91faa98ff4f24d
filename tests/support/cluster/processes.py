"""Containers of the fake cluster as processes: the real worker around a computation of our own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.kube.behaviour import Behaviour, ContainerStart, Exit, bad_image, oom
from tests.support.kube.cluster import FakeCluster

_ROOT = Path(__file__).parents[3]


class Process:
    """One container."""

    def __init__(self, start: ContainerStart, environment: Mapping[str, str], module: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="container-"))
        self._message = self._folder / "termination-log"
        self._output = self._folder / "log"
        worker = json.loads(start.env["FMDJ_WORKER"]) | {"scratch_dir": str(self._folder)}
        words = list(start.args)
        words[words.index("--termination-log") + 1] = str(self._message)
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**environment, **start.env, "FMDJ_WORKER": json.dumps(worker), "HOME": str(self._folder)},
                start_new_session=True,
            )

    def poll(self) -> Exit | None:
        """Return how it ended, or None."""
        code = self._process.poll()
        if code is None:
            return None
        message = self._message.read_text() if self._message.exists() else ""
        found = Exit(code if code >= 0 else 128 - code, message, log=self.log())
        shutil.rmtree(self._folder, ignore_errors=True)
        return found

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it, and what it has started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def log(self) -> str:
        """Return what it wrote."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""


class Workers:
    """What the fake cluster's pods do."""

    def __init__(self, cluster: FakeCluster, folder: Path, *, module: str = "tests.support.kills.worker") -> None:
        self._cluster = cluster
        self._module = module
        self._gate = folder / "gate"
        self._started: list[Process] = []
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(_ROOT),
            "FMDJKILL_DIR": str(folder),
            "FMDJKILL_GATE": str(self._gate),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self._gate.mkdir()
        self.tell("go")
        self._behaviour = Behaviour(lasts_s=None, start_s=0.1, run=self._start)
        cluster.script(None, self._behaviour)

    def tell(self, what: str) -> None:
        """Say what the next worker does; see :class:`~tests.support.cluster.site.Site`."""
        if what == "wait":
            (self._gate / "go").unlink(missing_ok=True)
        elif what == "go":
            (self._gate / "go").touch()
        else:
            self._cluster.script(None, {"memory": oom(), "image": bad_image()}[what], times=1)

    def end(self) -> None:
        """Kill what is left."""
        for process in self._started:
            process.kill()

    def _start(self, start: ContainerStart) -> Process:
        process = Process(start, self._environment, self._module)
        self._started.append(process)
        return process
