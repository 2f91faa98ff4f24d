"""The chart on a real cluster: install, one recording end to end, its page, upgrade while it computes, uninstall.

All of it in a namespace that enforces restricted Pod Security, with a database and an object store of the chart's own.
FMDJ_TEST_CONTROLLER_IMAGE and FMDJ_TEST_WORKER_IMAGE name the images; FMDJ_TEST_MYSQL_IMAGE and FMDJ_TEST_S3_IMAGE
others than the chart's for the evaluation servers, where the cluster can't reach those.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster.chart import evaluation_values
from tests.support.cluster.forward import forwarded
from tests.support.cluster.kubectl import Json, Kubectl
from tests.support.kube.tools import HELM, tool

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
CHART = Path(__file__).parents[2] / "helm" / "fmdj-cloud"
RELEASE = "lab"
WAIT_S = 900
OURS = "fmdj.dev/instance=lab"


class Helm:
    """Helm in one namespace of one cluster."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self._program = str(tool(HELM))

    def run(self, *words: str, check: bool = True) -> str:
        """Call Helm; an error fails the test, with what the cluster has to say."""
        options = (f"--kubeconfig={self._kubectl.kubeconfig}", f"--namespace={self._kubectl.namespace}")
        answer = subprocess.run(
            [self._program, *words, *options], capture_output=True, text=True, timeout=WAIT_S + 60, check=False
        )
        if answer.returncode and check:
            seen = self._kubectl.run("get", "pods,jobs,events", "--output=wide", check=False).stdout
            pytest.fail(f"helm {' '.join(words)}: {answer.stdout}{answer.stderr}\n{seen}")
        return answer.stdout


@pytest.fixture(scope="module")
def values(worker_image: str) -> list[str]:
    """Options of install and upgrade."""
    chosen = [*evaluation_values(worker_image), f"tests.timeout={WAIT_S}", "serve.enabled=true"]
    return [f"--values={CHART / 'examples' / 'evaluation.yaml'}", *(f"--set={one}" for one in chosen)]


@pytest.fixture(scope="module")
def helm(kubectl: Kubectl) -> Helm:
    return Helm(kubectl)


@pytest.fixture(scope="module")
def release(helm: Helm, values: list[str]) -> Iterator[str]:
    """The installed release; the last test removes it."""
    helm.run("install", RELEASE, str(CHART), *values, "--wait", f"--timeout={WAIT_S}s")
    yield RELEASE
    helm.run("uninstall", RELEASE, "--ignore-not-found", "--no-hooks", check=False)


def eventually(condition: Callable[[], Any], what: str, timeout_s: float = 300) -> Any:
    give_up = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < give_up, f"there is no {what} within {timeout_s:.0f} s"
        time.sleep(1)
    return found


def fmdj(kubectl: Kubectl, *words: str) -> str:
    return kubectl.run("exec", f"deploy/{RELEASE}-controller", "--", "fmdj", *words).stdout


def begin_recording(kubectl: Kubectl) -> subprocess.Popen[str]:
    """Begin to send a recording through, from a pod that no upgrade replaces."""
    pod = json.loads(kubectl.run("get", "pod", f"{RELEASE}-test-recording", "--output=json").stdout)
    again: Json = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "again", "labels": pod["metadata"]["labels"]},
        "spec": {
            field: pod["spec"][field]
            for field in ("containers", "volumes", "securityContext", "restartPolicy", "imagePullSecrets")
            if field in pod["spec"]
        },
    }
    again["spec"] |= {"automountServiceAccountToken": False, "enableServiceLinks": False}
    kubectl.delete("pod", "again")
    kubectl.run("wait", "pod/again", "--for=delete", "--timeout=120s", check=False)
    kubectl.apply(again)
    command = [*kubectl.options, "wait", "pod/again", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=900s"]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def workers(kubectl: Kubectl) -> dict[str, str]:
    """Return the UIDs of the Jobs that the controller has made, by name."""
    return {job["metadata"]["name"]: job["metadata"]["uid"] for job in kubectl.items("jobs", OURS)}


def test_everything_comes_up_in_a_restricted_namespace(kubectl: Kubectl, release: str) -> None:
    names = ("controller", "loader", "mysql", "object-store", "serve")
    for name in names:
        kubectl.run("rollout", "status", f"deployment/{release}-{name}", "--timeout=300s")
    warnings = [
        event["message"] for event in kubectl.items("events") if "violates PodSecurity" in event.get("message", "")
    ]
    assert warnings == []


def test_a_recording_goes_through_end_to_end(kubectl: Kubectl, helm: Helm, release: str) -> None:
    said = helm.run("test", release, "--logs", f"--timeout={WAIT_S}s")

    assert "went through" in said
    assert "This account may do all that the controller does." in said
    runs = json.loads(fmdj(kubectl, "status", "--output", "json"))
    assert "loaded" in json.dumps(runs)
    eventually(lambda: not workers(kubectl), "end of the Jobs")


def test_the_status_page_shows_what_went_through(kubectl: Kubectl, release: str) -> None:
    with forwarded(kubectl, f"service/{release}-serve", 80) as port:

        def ask(path: str) -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
                return answer.read().decode()

        status = json.loads(ask("/api/overview"))["status"]
        assert status["leader"]
        assert status["counts"]["loaded"] >= 1
        (run, *_) = json.loads(ask("/api/runs?state=loaded"))["runs"]
        page = json.loads(ask(f"/api/runs/{run['run_id']}"))
        assert page["manifest"]["nframes"] == page["frames"] > 0
        assert "published" in page["log"]
        assert run["run_id"] in ask("/")


def test_metrics_and_health_are_served(kubectl: Kubectl, release: str) -> None:
    for program, metric in (("controller", "fmdj_leader 1.0"), ("loader", "fmdj_loads_total")):
        look = "import urllib.request as r; print(r.urlopen('http://localhost:8080/{}').read().decode())"
        target = f"deploy/{release}-{program}"
        assert metric in kubectl.run("exec", target, "--", "python", "-c", look.format("metrics")).stdout
        assert json.loads(kubectl.run("exec", target, "--", "python", "-c", look.format("readyz")).stdout)["ok"] is True


def test_an_upgrade_keeps_what_runs(kubectl: Kubectl, helm: Helm, release: str, values: list[str]) -> None:
    with begin_recording(kubectl) as recording:
        before = eventually(lambda: workers(kubectl), "Job")
        annotation = "--set=controller.podAnnotations.upgraded=yes"
        helm.run("upgrade", release, str(CHART), *values, annotation, "--wait", f"--timeout={WAIT_S}s")
        after = workers(kubectl)
        out, _ = recording.communicate(timeout=WAIT_S)

    assert recording.returncode == 0, out
    assert all(before[name] == uid for name, uid in after.items() if name in before), "a Job was made anew"
    assert "went through" in kubectl.run("logs", "again").stdout


def test_run_once_runs_when_it_is_asked_for(kubectl: Kubectl, release: str) -> None:
    kubectl.run("create", "job", "once", f"--from=cronjob/{release}-run-once")
    kubectl.run("wait", "job/once", "--for=condition=Complete", "--timeout=600s")


def test_uninstalling_cancels_what_runs_and_leaves_nothing_that_runs(
    kubectl: Kubectl, helm: Helm, release: str
) -> None:
    with begin_recording(kubectl) as recording:
        eventually(lambda: workers(kubectl), "Job")
        helm.run("uninstall", release, "--wait", f"--timeout={WAIT_S}s")
        recording.kill()
    kubectl.delete("pod", "again")

    assert workers(kubectl) == {}

    def left() -> list[str]:
        found = kubectl.items("all", f"app.kubernetes.io/instance={release}")
        ours = [one for one in found if "helm.sh/hook" not in one["metadata"].get("annotations", {})]
        return [f"{one['kind']} {one['metadata']['name']}" for one in ours if one["metadata"]["name"] != "again"]

    eventually(lambda: not left(), "end of the release")
