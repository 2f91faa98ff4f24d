"""kubectl, as tests use it to look and to meddle."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.kube.tools import KUBECTL, tool

Json = dict[str, Any]


class KubectlError(AssertionError):
    """kubectl refused."""


@dataclass(frozen=True)
class Kubectl:
    """Calls in one namespace of one cluster."""

    program: Path
    kubeconfig: Path
    namespace: str

    @property
    def options(self) -> list[str]:
        """Return what every call begins with."""
        return [str(self.program), f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}"]

    def run(self, *words: str, body: Json | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Call kubectl, a body as its standard input."""
        text = None if body is None else json.dumps(body)
        stdin = subprocess.DEVNULL if text is None else None
        answer = subprocess.run(
            [*self.options, *words], input=text, stdin=stdin, capture_output=True, text=True, timeout=300, check=False
        )
        if check and answer.returncode:
            raise KubectlError(f"kubectl {' '.join(words)}: {answer.stderr.strip()}")
        return answer

    def apply(self, body: Json) -> None:
        """Create or change an object."""
        self.run("apply", "--filename=-", body=body)

    def items(self, kind: str, selector: str = "") -> list[Json]:
        """Return objects of a kind."""
        answer: Json = json.loads(self.run("get", kind, f"--selector={selector}", "--output=json").stdout)
        found: list[Json] = answer["items"]
        return found

    def delete(self, kind: str, name: str, *options: str) -> None:
        """Delete an object, and don't wait for its end."""
        self.run("delete", kind, name, "--wait=false", "--ignore-not-found", *options)

    def evict(self, pod: str) -> None:
        """Evict a pod by the API, as `kubectl drain` does."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": self.namespace},
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/eviction"
        self.run("create", f"--raw={path}", "--filename=-", body=body)


def any_kubectl() -> Path:
    """Return the kubectl that people use here, else the one that tests fetch."""
    found = shutil.which("kubectl")
    return Path(found) if found else tool(KUBECTL)
