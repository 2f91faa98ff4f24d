"""``kubectl fmdj`` against a real API server: exec, exit codes, and what becomes of a watch in the pod."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud import __version__
from tests.support.cluster.kubectl import Kubectl
from tests.support.cluster.pods import restricted_pod

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
_POD = "fmdj-controller-0"
_WATCHER = "fmdj-controller-1"
_SCRIPT = """#!/bin/sh
# `fmdj status --watch`, as long as somebody holds its standard input
touch /tmp/up
cat > /dev/null
touch /tmp/interrupted
"""


def controller_pod(name: str, release: str, image: str, **container: Any) -> dict[str, Any]:
    pod = restricted_pod(name, image, ["sleep", "3600"], **container)
    pod["metadata"]["labels"] = {"fmdj.dev/instance": release, "app.kubernetes.io/component": "controller"}
    pod["spec"]["containers"][0]["name"] = "controller"
    pod["spec"]["terminationGracePeriodSeconds"] = 0
    return pod


@pytest.fixture(scope="module")
def controllers(kubectl: Kubectl, worker_image: str) -> Iterator[Kubectl]:
    """Two releases: the image's own fmdj, and one whose fmdj is a script."""
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "script"}, "data": {"fmdj": _SCRIPT}})
    kubectl.apply(controller_pod(_POD, "real", worker_image))
    watcher = controller_pod(
        _WATCHER,
        "watcher",
        worker_image,
        env=[{"name": "PATH", "value": "/script:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}],
        volumeMounts=[{"name": "script", "mountPath": "/script"}],
    )
    watcher["spec"]["volumes"] = [{"name": "script", "configMap": {"name": "script", "defaultMode": 0o755}}]
    kubectl.apply(watcher)
    kubectl.run("wait", f"pod/{_POD}", f"pod/{_WATCHER}", "--for=condition=Ready", "--timeout=300s")
    yield kubectl
    for name in (_POD, _WATCHER):
        kubectl.delete("pod", name)


def plugin(kubectl: Kubectl, *words: str, **options: Any) -> subprocess.Popen[str]:
    path = f"{kubectl.program.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [str(kubectl.program), "fmdj", f"--kubeconfig={kubectl.kubeconfig}", "-n", kubectl.namespace, *words]
    return subprocess.Popen(command, env={**os.environ, "PATH": path}, text=True, **options)


def run(kubectl: Kubectl, *words: str) -> subprocess.CompletedProcess[str]:
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with plugin(kubectl, *words, **pipes) as process:
        out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def exists(kubectl: Kubectl, path: str) -> bool:
    return kubectl.run("exec", _WATCHER, "--", "test", "-e", path, check=False).returncode == 0


def until(kubectl: Kubectl, path: str) -> None:
    give_up = time.monotonic() + 60
    while not exists(kubectl, path):
        assert time.monotonic() < give_up, f"there is no {path} in the pod"
        time.sleep(0.5)


def test_it_answers_from_the_pod(controllers: Kubectl) -> None:
    result = run(controllers, "--release", "real", "version", "--output", "json")

    assert result.returncode == 0, result.stderr
    assert __version__ in json.dumps(json.loads(result.stdout))


def test_the_exit_code_of_the_command_is_its_own(controllers: Kubectl) -> None:
    result = run(controllers, "status", "--release", "real")

    assert result.returncode == 20  # the settings name no pipeline
    assert "The settings name no pipeline" in result.stderr


def test_several_releases_are_named(controllers: Kubectl) -> None:
    result = run(controllers, "status")

    assert result.returncode == 2
    assert "choose real or watcher with `--release`" in result.stderr


def test_no_controller_is_one_sentence(controllers: Kubectl) -> None:
    result = run(controllers, "--namespace", "default", "--release", "no-such-release", "status")

    assert result.returncode == 21
    assert "in namespace default" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_watch_in_the_pod_ends_with_the_plugin(controllers: Kubectl, number: signal.Signals) -> None:
    controllers.run("exec", _WATCHER, "--", "rm", "-f", "/tmp/up", "/tmp/interrupted")
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    with plugin(controllers, "--release", "watcher", "status", "--watch", **pipes) as process:
        until(controllers, "/tmp/up")
        time.sleep(1)
        assert not exists(controllers, "/tmp/interrupted")
        process.send_signal(number)
    until(controllers, "/tmp/interrupted")
