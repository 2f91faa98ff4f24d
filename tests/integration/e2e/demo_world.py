"""The demo's world as tests see it, and ``fmdj`` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmdj_cloud.demo.recordings import Truth, load_truth
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store


@dataclass(frozen=True)
class Demo:
    """The demo's world after everything has settled."""

    report: dict[str, Any]
    output: str
    workdir: Path
    settings: Settings
    ledger: Ledger
    lab: Lab
    store: Store

    def run(self, name: str) -> dict[str, Any]:
        return next(run for run in self.report["runs"] if run["name"] == name)

    def truth(self, name: str) -> Truth:
        return load_truth(self.workdir / "recordings" / f"{name}_truth.npz")

    def key(self, name: str) -> dict[str, Any]:
        number = [run["name"] for run in self.report["runs"]].index(name) + 1
        return {"subject": "m1", "session_id": 1, "recording_id": number, "facemap_task_id": 0}

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return fmdj(*arguments, config=self.workdir / "config.yaml")


def fmdj(*arguments: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", **({"FMDJ_CONFIG": str(config)} if config else {})}
    command = [sys.executable, "-m", "fmdj_cloud", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=540)
