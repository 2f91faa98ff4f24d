"""The status of a pod, as the kubelet writes it at each stage."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.support.kube.store import Object

_UNKNOWN = "The container could not be located when the pod was terminated"
_ORDER = ("DisruptionTarget", "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def set_condition(pod: Object, now: str, kind: str, value: bool, reason: str = "", message: str = "") -> None:
    """Set a condition; its time of transition only moves if its status changes."""
    conditions = {one["type"]: one for one in pod["status"].get("conditions") or ()}
    old = conditions.get(kind)
    status = "True" if value else "False"
    since = old["lastTransitionTime"] if old is not None and old["status"] == status else now
    new: dict[str, Any] = {"type": kind, "observedGeneration": 1, "status": status, "lastProbeTime": None}
    new["lastTransitionTime"] = since
    if reason:
        new["reason"] = reason
    if message:
        new["message"] = message
    conditions[kind] = new
    pod["status"]["conditions"] = [conditions[name] for name in _ORDER if name in conditions]


def container_id(pod: Object, name: str) -> str:
    """Return the id of a container."""
    return "containerd://" + hashlib.sha256(f"{pod['metadata']['uid']}/{name}".encode()).hexdigest()


def _container(pod: Object, container: dict[str, Any], state: dict[str, Any], *, ready: bool, made: bool) -> Any:
    image = container["image"]
    status = {
        "name": container["name"],
        "state": state,
        "lastState": {},
        "ready": ready,
        "restartCount": 0,
        "image": image,
        "imageID": f"{image.partition('@')[0]}@sha256:{hashlib.sha256(image.encode()).hexdigest()}" if made else "",
        "started": "running" in state,
    }
    if made:
        status["containerID"] = container_id(pod, container["name"])
    return status


def set_containers(pod: Object, state: dict[str, Any], *, ready: bool = False, made: bool = False) -> None:
    """Put all containers into one state."""
    containers = pod["spec"]["containers"]
    pod["status"]["containerStatuses"] = [_container(pod, one, state, ready=ready, made=made) for one in containers]


def set_init(pod: Object, now: str, state: dict[str, Any] | None = None) -> None:
    """Let the init containers have completed, or the first of them be in a state."""
    containers = pod["spec"].get("initContainers") or []
    if not containers:
        return
    done = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
    if state is None:
        statuses = [_container(pod, one, done, ready=True, made=True) for one in containers]
    else:
        waiting = {"waiting": {"reason": "PodInitializing"}}
        statuses = [
            _container(pod, one, state if i == 0 else waiting, ready=False, made=i == 0)
            for i, one in enumerate(containers)
        ]
    pod["status"]["initContainerStatuses"] = statuses


def creating(pod: Object, now: str, node_ip: str) -> None:
    """The kubelet has taken the pod."""
    status = pod["status"]
    status |= {"phase": "Pending", "hostIP": node_ip, "hostIPs": [{"ip": node_ip}], "startTime": now}
    status["observedGeneration"] = 1
    names = ", ".join(one["name"] for one in pod["spec"]["containers"])
    set_condition(pod, now, "PodReadyToStartContainers", False)
    inits = [one["name"] for one in pod["spec"].get("initContainers") or ()]
    if inits:
        text = f"containers with incomplete status: [{' '.join(inits)}]"
        set_condition(pod, now, "Initialized", False, "ContainersNotInitialized", text)
        set_init(pod, now, {"waiting": {"reason": "PodInitializing"}})
    else:
        set_condition(pod, now, "Initialized", True)
    unready = f"containers with unready status: [{names.replace(', ', ' ')}]"
    set_condition(pod, now, "Ready", False, "ContainersNotReady", unready)
    set_condition(pod, now, "ContainersReady", False, "ContainersNotReady", unready)
    reason = "PodInitializing" if inits else "ContainerCreating"
    set_containers(pod, {"waiting": {"reason": reason}})


def waiting(pod: Object, now: str, reason: str, message: str) -> None:
    """The container doesn't start."""
    set_condition(pod, now, "PodReadyToStartContainers", True)
    state = {"reason": reason, **({"message": message} if message else {})}
    set_containers(pod, {"waiting": state})


def running(pod: Object, now: str, pod_ip: str) -> None:
    """The containers run."""
    pod["status"] |= {"phase": "Running", "podIP": pod_ip, "podIPs": [{"ip": pod_ip}]}
    set_init(pod, now)
    for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"):
        set_condition(pod, now, kind, True)
    set_containers(pod, {"running": {"startedAt": now}}, ready=True, made=True)


def ended(pod: Object, now: str, *, code: int, reason: str, message: str) -> None:
    """The containers have ended."""
    good = code == 0
    phase = "Succeeded" if good else "Failed"
    pod["status"]["phase"] = phase
    terminated: dict[str, Any] = {
        "exitCode": code,
        "reason": reason or ("Completed" if good else "Error"),
        "startedAt": started_at(pod) or now,
        "finishedAt": now,
        "containerID": container_id(pod, pod["spec"]["containers"][0]["name"]),
    }
    if message:
        terminated["message"] = message
    told = "PodCompleted" if good else "PodFailed"
    set_condition(pod, now, "PodReadyToStartContainers", False)
    set_condition(pod, now, "Initialized", True, *(["PodCompleted"] if good else []))
    set_condition(pod, now, "Ready", False, told)
    set_condition(pod, now, "ContainersReady", False, told)
    set_containers(pod, {"terminated": terminated}, made=True)


def unknown(pod: Object, now: str) -> None:
    """The pod is over, and nobody knows how its containers ended, if they ever began."""
    ended(pod, now, code=137, reason="ContainerStatusUnknown", message=_UNKNOWN)
    for one in pod["status"]["containerStatuses"]:
        one.pop("containerID", None)
        state = one["state"]["terminated"]
        state |= {"startedAt": None, "finishedAt": None}
        state.pop("containerID", None)


def init_ended(pod: Object, now: str, *, code: int, reason: str, message: str) -> None:
    """An init container has failed, and with it the pod."""
    pod["status"]["phase"] = "Failed"
    terminated = {"exitCode": code, "reason": reason or "Error", "startedAt": now, "finishedAt": now}
    terminated |= {"message": message} if message else {}
    name = pod["spec"]["initContainers"][0]["name"]
    terminated["containerID"] = container_id(pod, name)
    text = f"containers with incomplete status: [{name}]"
    set_condition(pod, now, "Initialized", False, "ContainersNotInitialized", text)
    set_condition(pod, now, "Ready", False, "PodFailed")
    set_condition(pod, now, "ContainersReady", False, "PodFailed")
    set_init(pod, now, {"terminated": terminated})


def refused(pod: Object, now: str, reason: str, message: str) -> None:
    """The kubelet doesn't take the pod, or throws it out: no word of any container."""
    pod["status"]["phase"] = "Failed"
    pod["status"]["reason"], pod["status"]["message"] = reason, message
    pod["status"].setdefault("startTime", now)


def started_at(pod: Object) -> str:
    """Return since when the first container runs, empty if it doesn't."""
    for one in pod["status"].get("containerStatuses") or ():
        state = one.get("state") or {}
        return (state.get("running") or state.get("terminated") or {}).get("startedAt", "")
    return ""
