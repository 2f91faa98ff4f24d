"""Jobs, Pods and Events as Kubernetes 1.31 to 1.36 shows them, at one moment: :data:`NOW`."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

NOW = dt.datetime(2026, 1, 31, 12, 0, tzinfo=dt.UTC)
JOB_UID = "7a0d9d3e-5f0b-4a43-9a52-1b1b6f1d0c11"
JOB_NAME = "fmdj-svd-0123456789abcdef-a1"
NODE = "node-7"
_FOREGROUND = "foregroundDeletion"
_TRACKING = "batch.kubernetes.io/job-tracking"

NO_HELP = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"


def ago(seconds: float) -> str:
    """A time so many seconds before NOW, as Kubernetes writes it."""
    return (NOW - dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(
    kind: str, status: str = "True", *, reason: str = "", message: str = "", age: float = 60
) -> dict[str, Any]:
    """A condition of a Job or a Pod."""
    found = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": ago(age)}
    return found | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})


def job(
    *,
    age: float = 3600,
    conditions: tuple[dict[str, Any], ...] = (),
    suspend: bool = False,
    queue: str = "",
    deleting: float | None = None,
    finalizers: tuple[str, ...] = (_FOREGROUND,),
    given_up: str = "",
    **status: Any,
) -> dict[str, Any]:
    """A Job of ours; `deleting` is how long ago its deletion was asked for."""
    labels = {"fmdj.dev/instance": "fmdj", "fmdj.dev/run": "svd-0123456789abcdef", "fmdj.dev/profile": "svd"}
    metadata: dict[str, Any] = {
        "name": JOB_NAME,
        "namespace": "lab",
        "uid": JOB_UID,
        "creationTimestamp": ago(age),
        "labels": labels | ({"kueue.x-k8s.io/queue-name": queue} if queue else {}),
        "annotations": {"fmdj.dev/spec-sha256": "ab" * 32} | ({"fmdj.dev/given-up": given_up} if given_up else {}),
    }
    if deleting is not None:
        metadata |= {
            "deletionTimestamp": ago(deleting),
            "deletionGracePeriodSeconds": 0,
            "finalizers": list(finalizers),
        }
    spec = {"backoffLimit": 0, "completions": 1, "parallelism": 1, "suspend": suspend, "podReplacementPolicy": "Failed"}
    found = {"startTime": ago(age), "uncountedTerminatedPods": {}} | status
    if conditions:
        found["conditions"] = list(conditions)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec, "status": found}


def failed_job(reason: str = "BackoffLimitExceeded", message: str = "", **more: Any) -> dict[str, Any]:
    """A Job that has failed."""
    message = message or "Job has reached the specified backoff limit"
    why = {"reason": reason, "message": message}
    return job(conditions=(condition("FailureTarget", **why), condition("Failed", **why)), failed=1, **more)


def complete_job(**more: Any) -> dict[str, Any]:
    """A Job that is complete."""
    why = {"reason": "CompletionsReached", "message": "Reached expected number of succeeded pods"}
    conditions = (condition("SuccessCriteriaMet", **why), condition("Complete", **why))
    return job(conditions=conditions, succeeded=1, completionTime=ago(10), **more)


def running_job(**more: Any) -> dict[str, Any]:
    """A Job with one living Pod."""
    return job(**{"active": 1, "ready": 0, "terminating": 0} | more)


def pod(
    phase: str = "Pending",
    *,
    name: str = f"{JOB_NAME}-x2x5v",
    uid: str = "0f8b1f5e-6c3c-4a7e-8a55-2a1f6a3b7c01",
    age: float = 3600,
    node: str = NODE,
    accepted: float | None = None,
    deleting: float | None = None,
    conditions: tuple[dict[str, Any], ...] | None = None,
    worker: Mapping[str, Any] | None = None,
    init: Mapping[str, Any] | None = None,
    sidecar: Mapping[str, Any] | None = None,
    gpu: int = 0,
    requests: Mapping[str, str] | None = None,
    **status: Any,
) -> dict[str, Any]:
    """A Pod of the Job; `worker`, `init`, `sidecar` are container states, `deleting` how long ago its grace ended."""
    metadata: dict[str, Any] = {
        "name": name,
        "generateName": f"{JOB_NAME}-",
        "namespace": "lab",
        "uid": uid,
        "creationTimestamp": ago(age),
        "labels": {"batch.kubernetes.io/job-name": JOB_NAME, "batch.kubernetes.io/controller-uid": JOB_UID},
        "finalizers": [_TRACKING],
    }
    if deleting is not None:
        metadata |= {"deletionTimestamp": ago(deleting), "deletionGracePeriodSeconds": 30}
    asked = dict(requests or {"cpu": "2", "memory": "4096Mi", "ephemeral-storage": "10240Mi"})
    if gpu:
        asked["nvidia.com/gpu"] = str(gpu)
    spec: dict[str, Any] = {
        "containers": [{"name": "worker", "image": "lab/worker:1", "resources": {"requests": asked, "limits": asked}}],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 30,
        "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}}],
    }
    found: dict[str, Any] = {"phase": phase, "qosClass": "Burstable"} | status
    if conditions is None:
        conditions = (condition("PodScheduled", age=age),) if node else ()
    if conditions:
        found["conditions"] = list(conditions)
    if node:
        spec["nodeName"] = node
        found["startTime"] = ago(age if accepted is None else accepted)
    statuses = [("containerStatuses", "worker", worker), ("containerStatuses", "istio-proxy", sidecar)]
    for field, container, state in [*statuses, ("initContainerStatuses", "istio-init", init)]:
        if state is not None:
            found.setdefault(field, []).append(
                {"name": container, "image": "lab/worker:1", "state": dict(state), "lastState": {}, "restartCount": 0}
            )
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": found}


def running(age: float = 1800) -> dict[str, Any]:
    """A container that runs."""
    return {"running": {"startedAt": ago(age)}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """A container that waits."""
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def ended(
    code: int, reason: str = "", *, message: str = "", started: float = 1800, finished: float = 10, signal: int = 0
) -> dict[str, Any]:
    """A container that has ended."""
    found: dict[str, Any] = {
        "exitCode": code,
        "reason": reason or ("Completed" if code == 0 else "Error"),
        "startedAt": ago(started),
        "finishedAt": ago(finished),
        "containerID": "containerd://5d1c8f",
    }
    return {"terminated": found | ({"message": message} if message else {}) | ({"signal": signal} if signal else {})}


def last_word(code: str, exit_code: int, sentence: str = "", **more: Any) -> str:
    """The worker's termination message."""
    return json.dumps({"code": code, "exit_code": exit_code, "sentence": sentence} | more)


def disrupted(reason: str, message: str = "") -> tuple[dict[str, Any], ...]:
    """Conditions of a Pod that something disrupts."""
    return (condition("PodScheduled", age=3600), condition("DisruptionTarget", reason=reason, message=message))


def unscheduled(message: str, *, age: float = 3600, reason: str = "Unschedulable", **more: Any) -> dict[str, Any]:
    """A Pod that has no node."""
    why = condition("PodScheduled", "False", reason=reason, message=message, age=age)
    return pod("Pending", node="", age=age, conditions=(why,), **more)


def no_nodes(*reasons: str, preemption: str = "", total: int = 3, extra: str = "") -> str:
    """The scheduler's message about a Pod that fits nowhere."""
    message = f"0/{total} nodes are available: {', '.join(reasons)}.{extra}"
    return f"{message} preemption: 0/{total} nodes are available: {preemption}." if preemption else message


def event(
    reason: str,
    message: str,
    *,
    about: Mapping[str, Any] | None = None,
    first: float = 1800,
    last: float = 20,
    component: str = "kubelet",
    kind: str = "Warning",
) -> dict[str, Any]:
    """An Event, about a Pod unless another object is given."""
    thing = about if about is not None else pod()
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{thing['metadata']['name']}.17c0ffee", "namespace": "lab"},
        "involvedObject": {"kind": thing["kind"], "name": thing["metadata"]["name"], "uid": thing["metadata"]["uid"]},
        "reason": reason,
        "message": message,
        "type": kind,
        "count": 7,
        "firstTimestamp": ago(first),
        "lastTimestamp": ago(last),
        "source": {"component": component},
    }


def new_event(reason: str, message: str, *, first: float = 1800, last: float = 20) -> dict[str, Any]:
    """An Event about a Pod, as events.k8s.io/v1 shows it, written by the scheduler."""
    thing = pod()
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{thing['metadata']['name']}.17c0ffef",
            "namespace": "lab",
            "creationTimestamp": ago(first),
        },
        "regarding": {"kind": "Pod", "name": thing["metadata"]["name"], "uid": thing["metadata"]["uid"]},
        "reason": reason,
        "note": message,
        "type": "Warning",
        "eventTime": ago(first).replace("Z", ".000123Z"),
        "series": {"count": 4, "lastObservedTime": ago(last).replace("Z", ".000123Z")},
        "reportingController": "default-scheduler",
    }
