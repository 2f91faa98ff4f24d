"""Which pod is the controller's: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fmdj_cloud.control.kube import labels
from fmdj_cloud.errors import ConfigError, UsageError

CONTAINER = "controller"
SELECTOR = f"app.kubernetes.io/component=controller,{labels.INSTANCE}"
"""Controllers of every installation in a namespace."""
_RELEASE = "app.kubernetes.io/instance"
_OVER = ("Succeeded", "Failed")


class NoControllerError(ConfigError):
    """No controller runs where one was looked for (exit 21)."""

    code = "no_controller"
    exit_code = 21


@dataclass(frozen=True)
class Target:
    """Where a command is run."""

    pod: str
    namespace: str
    remark: str = ""
    """What a person should know before, empty if nothing."""


def releases(pods: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the installations whose controllers these are."""
    return sorted({_label(pod, labels.INSTANCE) for pod in pods} - {""})


def choose(pods: Sequence[Mapping[str, Any]], release: str | None, place: str) -> Target:
    """Choose the pod that a command is run in.

    Parameters
    ----------
    pods : sequence of mapping
        Controllers' pods, as the API returns them.
    release : str, optional
        Name of the installation, or of the Helm release if that is another.
    place : str
        Where they were looked for, for sentences.

    Raises
    ------
    NoControllerError
        If none runs there.
    UsageError
        If it must be said which installation is meant.
    """
    known = releases(pods)
    if release is not None:
        pods = [pod for pod in pods if release in (_label(pod, labels.INSTANCE), _label(pod, _RELEASE))]
        if not pods and known:
            raise NoControllerError(f"No controller of release {release} is in {place}: there is {_list(known)}.")
    names = releases(pods)
    if not names:
        what = "No fmdj controller" if release is None else f"No controller of release {release}"
        raise NoControllerError(
            f"{what} is in {place}: choose another with `--namespace`, or another cluster with `--context`."
        )
    if len(names) > 1:
        raise UsageError(f"Several releases are in {place}: choose {_list(names)} with `--release`.")
    running = [pod for pod in pods if _is_running(pod)]
    if not running:
        raise NoControllerError(
            f"The controller of release {names[0]} in {place} isn't running: {_why(pods[-1])}. "
            f"`kubectl describe pod {_name(pods[-1])}` says more."
        )
    best = max(running, key=lambda pod: (_is_ready(pod), pod["metadata"].get("creationTimestamp") or "", _name(pod)))
    remark = "" if _is_ready(best) else f"The controller in {_name(best)} isn't ready; its answer may be late or wrong."
    return Target(_name(best), best["metadata"].get("namespace") or "", remark)


def _name(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["name"])


def _label(pod: Mapping[str, Any], name: str) -> str:
    return str((pod["metadata"].get("labels") or {}).get(name, ""))


def _status(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    return pod.get("status") or {}


def _container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the status of the controller's container, empty if there is none yet."""
    found = [one for one in _status(pod).get("containerStatuses") or () if one.get("name") == CONTAINER]
    return found[0] if found else {}


def _is_running(pod: Mapping[str, Any]) -> bool:
    """Whether a command can be run in it and be expected to end."""
    return not pod["metadata"].get("deletionTimestamp") and "running" in (_container(pod).get("state") or {})


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = _status(pod).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _why(pod: Mapping[str, Any]) -> str:
    """Return why a pod doesn't run, in Kubernetes' words."""
    if pod["metadata"].get("deletionTimestamp"):
        return f"pod {_name(pod)} is being deleted"
    for state in (_container(pod).get("state") or {}).values():
        if reason := (state or {}).get("reason"):
            return f"pod {_name(pod)} is {reason}"
    if not _container(pod) and _status(pod).get("phase") not in (None, "Pending", *_OVER):
        return f"pod {_name(pod)} has no container `{CONTAINER}`"
    return f"pod {_name(pod)} is {_status(pod).get('phase') or 'new'}"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
