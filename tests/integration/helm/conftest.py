"""The chart, rendered by both Helms, once per test process."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kube.tools import HELM, HELM_OLD, tool

CHART = Path(__file__).parents[3] / "helm" / "fmdj-cloud"
EXAMPLES = sorted(path.stem for path in (CHART / "examples").glob("*.yaml"))
HELMS = {"helm-4": HELM, "helm-3": HELM_OLD}
NAMESPACE = "lab-ns"
Json = dict[str, Any]
Render = Callable[..., list[Json]]


def run_helm(which: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(tool(HELMS[which])), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@functools.cache
def _documents(which: str, options: tuple[str, ...]) -> list[Json]:
    answer = run_helm(which, "template", "lab", str(CHART), f"--namespace={NAMESPACE}", *options)
    assert answer.returncode == 0, answer.stderr
    return [document for document in yaml.safe_load_all(answer.stdout) if document]


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls Helm: `helm("helm-4", "lint", ...)`."""
    return run_helm


@pytest.fixture(scope="session")
def chart() -> Path:
    return CHART


@pytest.fixture(scope="session")
def render() -> Render:
    """Renders the chart: `render("minimal", "--set=...", which="helm-3")`."""

    def call(example: str, *options: str, which: str = "helm-4") -> list[Json]:
        return _documents(which, (f"--values={CHART / 'examples' / example}.yaml", *options))

    return call


@pytest.fixture(scope="session", params=[*EXAMPLES, "everything"])
def documents(request: pytest.FixtureRequest, render: Render) -> list[Json]:
    """What each example becomes; last, one with all that can be switched on."""
    if request.param == "everything":
        return everything(render)
    return render(request.param)


def everything(render: Render) -> list[Json]:
    switches = (
        "facemapRuns.install",
        "prePull.enabled",
        "metrics.serviceMonitor.enabled",
        "metrics.prometheusRule.enabled",
        "metrics.dashboard.enabled",
        "networkPolicy.restrictPrograms",
        "serve.enabled",
        "gc.enabled",
    )
    return render("evaluation", *(f"--set={switch}=true" for switch in switches), "--set=images.pullSecrets={lab}")


@pytest.fixture(scope="session")
def full(render: Render) -> list[Json]:
    return everything(render)


@pytest.fixture(scope="session")
def minimal(render: Render) -> list[Json]:
    return render("minimal")
