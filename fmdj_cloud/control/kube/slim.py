"""What is kept of an object: the fields that are looked at. Thousands of whole Jobs and pods would fill the memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from fmdj_cloud.control.kube import labels

Json = dict[str, Any]
Slim = Callable[[Json], Json | None]
"""Returns what is kept of an object, None for one that isn't kept at all."""

_METADATA = (
    "name",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "finalizers",
)
_OURS = f"{labels.GROUP}/"
_FOR_PEOPLE = (labels.TASK, labels.SPEC_URI)
_JOB_SPEC = ("suspend", "completionMode", "completions", "parallelism")
_POD_SPEC = ("nodeName", "terminationGracePeriodSeconds")
_POD_STATUS = ("phase", "reason", "message", "startTime", "conditions")
_CONDITION = ("type", "status", "reason", "message", "lastTransitionTime")
_CONTAINER = ("name", "resources")
_CONTAINER_STATUS = ("name", "state", "lastState")
_CONTAINER_STATUSES = ("initContainerStatuses", "containerStatuses")
_ROUTINE = frozenset({"Scheduled", "Created", "Started", "SuccessfulCreate", "SuccessfulDelete", "Completed"})
"""Events of every Job that goes well: the objects show it too."""
_EVENT = (
    "type",
    "reason",
    "message",
    "action",
    "count",
    "firstTimestamp",
    "lastTimestamp",
    "eventTime",
    "series",
    "reportingComponent",
    "source",
)
_REFERENCE = ("kind", "name", "uid", "fieldPath")
_EVENT_METADATA = ("name", "uid", "resourceVersion", "creationTimestamp")
_MESSAGE = 1024
"""Characters, as many as the events API allows."""


def slim_any(thing: Json) -> Json:
    """Return an object without what only the API server needs."""
    kept = dict(thing)
    kept["metadata"] = {name: value for name, value in _dict(thing.get("metadata")).items() if name != "managedFields"}
    return kept


def slim_job(job: Json) -> Json:
    """Return a Job without its template: its pods show what came of it."""
    return {
        "metadata": _metadata(job.get("metadata")),
        "spec": _only(job.get("spec"), _JOB_SPEC),
        "status": _dict(job.get("status")),
    }


def slim_pod(pod: Json) -> Json:
    """Return a pod's place, and how it and its containers are; of what it was made from its resources and memory."""
    spec, status = _dict(pod.get("spec")), _dict(pod.get("status"))
    kept_spec = _only(spec, _POD_SPEC)
    kept_spec["containers"] = [_only(container, _CONTAINER) for container in _list(spec.get("containers"))]
    kept_spec["volumes"] = [volume for volume in _list(spec.get("volumes")) if _is_memory(volume)]
    kept = _only(status, _POD_STATUS)
    kept["conditions"] = [_only(condition, _CONDITION) for condition in _list(status.get("conditions"))]
    for name in _CONTAINER_STATUSES:
        if name in status:
            kept[name] = [_only(container, _CONTAINER_STATUS) for container in _list(status[name])]
    metadata = _metadata(pod.get("metadata"))
    owners = _dict(pod.get("metadata")).get("ownerReferences")
    if owners:
        metadata["ownerReferences"] = owners
    return {"metadata": metadata, "spec": kept_spec, "status": kept}


def slim_event(prefix: str, kinds: Iterable[str]) -> Slim:
    """Return a function that keeps Events about some objects, since Events carry no labels of ours.

    Those that tell only that all goes well are left out.

    Parameters
    ----------
    prefix : str
        How the names of our Jobs, and so of their pods, begin.
    kinds : iterable of str
        Kinds of objects that are ours whatever their names.
    """
    whole = frozenset(kinds)

    def slim(event: Json) -> Json | None:
        about = _dict(event.get("involvedObject"))
        if event.get("reason") in _ROUTINE:
            return None
        if about.get("kind") not in whole and not str(about.get("name") or "").startswith(prefix):
            return None
        kept = _only(event, _EVENT)
        kept["metadata"] = _only(event.get("metadata"), _EVENT_METADATA)
        kept["involvedObject"] = _only(about, _REFERENCE)
        kept["message"] = str(kept.get("message") or "")[:_MESSAGE]
        return kept

    return slim


def _metadata(metadata: Any) -> Json:
    found = _dict(metadata)
    kept = _only(found, _METADATA)
    kept["labels"] = {sys.intern(name): value for name, value in _dict(found.get("labels")).items()}
    kept["annotations"] = {
        sys.intern(name): value
        for name, value in _dict(found.get("annotations")).items()
        if name.startswith(_OURS) and name not in _FOR_PEOPLE
    }
    return kept


def _is_memory(volume: Any) -> bool:
    return _dict(_dict(volume).get("emptyDir")).get("medium") == "Memory"


def _only(thing: Any, names: Iterable[str]) -> Json:
    found = _dict(thing)
    return {name: found[name] for name in names if name in found}


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
