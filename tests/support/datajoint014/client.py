"""A lab's DataJoint 0.14 client: Python code of a test, executed there against the test's own server."""

from __future__ import annotations

import contextlib
import json
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fmdj_cloud.settings import DatabaseSettings

from .environment import plain, python
from .wire import pack, unpack


class LabError(Exception):
    """What was raised in the lab's client: ``kind`` is the name of its class."""

    def __init__(self, kind: str, text: str, trace: str) -> None:
        super().__init__(f"{kind}: {text}\n{trace}")
        self.kind = kind


class Client:
    """One process with DataJoint 0.14.

    Parameters
    ----------
    process : subprocess.Popen
        Runs ``served.py``.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, lab: str, code: str, **values: Any) -> Any:
        """Execute code in a lab's namespace, where names live on; return what it assigned to ``result``.

        Raises
        ------
        LabError
            If it raised.
        """
        order = {"lab": lab, "code": textwrap.dedent(code), "values": pack(values)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("The DataJoint 0.14 client has ended: what it wrote to standard error says why.")
        answer = json.loads(line)
        if "error" in answer:
            raise LabError(answer["error"], answer["text"], answer["trace"])
        return unpack(answer["result"])


@contextlib.contextmanager
def client(settings: DatabaseSettings) -> Iterator[Client]:
    """Run a DataJoint 0.14 client for a MySQL or MariaDB server."""
    script = Path(__file__).with_name("served.py")
    process = subprocess.Popen(
        [str(python()), "-I", str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=plain(),
    )
    try:
        password = settings.password.get_secret_value() if settings.password else ""
        assert process.stdin is not None
        process.stdin.write(json.dumps([settings.host, settings.port, settings.user, password]) + "\n")
        process.stdin.flush()
        yield Client(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait(timeout=30)
