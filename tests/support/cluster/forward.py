"""``kubectl port-forward`` that is started again whenever it ends."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import time
from collections.abc import Iterator

from tests.support.cluster.kubectl import Kubectl

_START_S = 60.0


class Forward:
    """A local port that leads to a port of a pod."""

    def __init__(self, kubectl: Kubectl, target: str, port: int) -> None:
        self._kubectl = kubectl
        self._target = target
        self._port = port
        self._over = threading.Event()
        self._process = self._start(0)
        self.port = self._read_port(self._process)
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._over.set()
        self._process.kill()
        self._thread.join(10)

    def _start(self, local: int) -> subprocess.Popen[str]:
        command = [*self._kubectl.options, "port-forward", self._target, f"{local or ''}:{self._port}"]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    @staticmethod
    def _read_port(process: subprocess.Popen[str]) -> int:
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found is not None, "kubectl port-forward ended as it started"
        return int(found[1])

    def _keep(self) -> None:
        while not self._over.is_set():
            assert self._process.stdout is not None
            for _line in self._process.stdout:  # it writes one for every connection
                pass
            self._process.wait()
            if self._over.wait(0.2):
                return
            self._process = self._start(self.port)
            if self._over.is_set():
                self._process.kill()


@contextlib.contextmanager
def forwarded(kubectl: Kubectl, target: str, port: int) -> Iterator[int]:
    """Forward a local port; it is tried until the pod takes it."""
    give_up = time.monotonic() + _START_S
    while True:
        try:
            forward = Forward(kubectl, target, port)
            break
        except AssertionError:
            if time.monotonic() > give_up:
                raise
            time.sleep(1)
    try:
        yield forward.port
    finally:
        forward.close()
