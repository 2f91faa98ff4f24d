"""``kubectl fmdj`` finds its pod with the real kubectl, in a cluster that holds others too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kube import stand_in
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.tools import KUBECTL, tool

pytestmark = pytest.mark.integration
Answer = subprocess.CompletedProcess[str]


def controller(name: str, release: str, component: str = "controller") -> dict[str, Any]:
    labels = {"fmdj.dev/instance": release, "app.kubernetes.io/component": component}
    container = {"name": "controller", "image": "registry.lab/fmdj:1"}
    return {"kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": {"containers": [container]}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster("lab", "other", "empty", secure=True) as made:
        made.create(controller("fmdj-controller", "fmdj"))
        made.create(controller("fmdj-loader", "fmdj", "loader"))
        for release in ("one", "two"):
            made.create(controller(f"{release}-controller", release), namespace="other")
        made.advance(5)
        yield made


@pytest.fixture
def plugin(cluster: FakeCluster, tmp_path: Path) -> Callable[..., Answer]:
    """Runs ``kubectl fmdj``; what would run in the pod is only recorded."""
    kubeconfig = cluster.kubeconfig(tmp_path / "kubeconfig")
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "kubectl": f'exec {sys.executable} -I {stand_in.__file__} "$@"',
        "fmdj": 'echo "$@"',
        "kubectl-fmdj": f'exec {Path(sys.executable).with_name("kubectl-fmdj")} "$@"',
    }
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    environment = {
        "PATH": f"{folder}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(kubeconfig),
        "STAND_IN_KUBECTL": str(tool(KUBECTL)),
        "STAND_IN_CALLS": str(tmp_path / "calls"),
        "STAND_IN_FOLDER": str(tmp_path),
        **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE")},
    }

    def run(*words: str) -> Answer:
        command = [str(tool(KUBECTL)), "fmdj", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return run


def last_call(tmp_path: Path) -> list[str]:
    found: list[str] = json.loads((tmp_path / "calls").read_text().splitlines()[-1])
    return found


def test_the_controller_is_found_among_other_pods(plugin: Callable[..., Answer], tmp_path: Path) -> None:
    assert plugin("status").stdout == "status\n"
    assert last_call(tmp_path)[:3] == ["--namespace=lab", "exec", "fmdj-controller"]


def test_the_release_is_chosen_in_another_namespace(plugin: Callable[..., Answer], tmp_path: Path) -> None:
    assert plugin("-n", "other", "--release", "two", "plan").stdout == "plan\n"
    assert last_call(tmp_path)[:3] == ["--namespace=other", "exec", "two-controller"]


def test_several_releases_are_named(plugin: Callable[..., Answer]) -> None:
    answer = plugin("-n", "other", "plan")
    assert answer.returncode == 2
    assert "in namespace other: choose one or two with `--release`" in answer.stderr


def test_a_namespace_without_a_controller_is_named(plugin: Callable[..., Answer]) -> None:
    answer = plugin("-n", "empty", "plan")
    assert (answer.returncode, answer.stderr.count("\n")) == (21, 1)
    assert "No fmdj controller is in namespace empty" in answer.stderr


def test_a_missing_right_is_told_by_kubectl_and_by_us(plugin: Callable[..., Answer], cluster: FakeCluster) -> None:
    cluster.deny("list pods")
    answer = plugin("plan")
    cluster.allow()
    assert answer.returncode == 20
    assert "forbidden" in answer.stderr
    assert "needs a cluster that answers, and the rights to list pods" in answer.stderr


def test_a_controller_that_does_not_run_says_why(plugin: Callable[..., Answer], cluster: FakeCluster) -> None:
    cluster.create(controller("slow-controller", "slow"), namespace="empty")
    answer = plugin("-n", "empty", "plan")
    cluster.delete("pods", "slow-controller", namespace="empty")
    cluster.advance(60)
    assert answer.returncode == 21
    assert "pod slow-controller is Pending" in answer.stderr
