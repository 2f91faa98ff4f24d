"""A Pod, as far as its status tells: parts may be missing or malformed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fmdj_cloud.control.launchers.kubernetes.containers import Container, read_containers
from fmdj_cloud.control.launchers.kubernetes.fields import flag, mapping, moment, objects, text
from fmdj_cloud.control.launchers.kubernetes.indexed import INDEX_LABEL

GONE = "fmdj.dev/gone"
"""Top-level key that marks the last state of a Pod that doesn't exist any more: ``pod | {GONE: True}``."""
_BEGINNING = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True)
class Condition:
    """A condition that a Pod or a Job has."""

    reason: str
    message: str
    since: dt.datetime | None


@dataclass(frozen=True)
class Pod:
    """What is known of a Pod.

    Attributes
    ----------
    name, uid, node, phase, reason, message : str
        Empty where nothing is known.
    created, accepted, deleting : datetime or None
        When it was made, taken by its node, and will have been deleted (its grace included).
    gone : bool
        Whether it doesn't exist any more.
    disruption : Condition or None
        Why it was to be disrupted.
    unscheduled : Condition or None
        Why it has no node yet.
    prepared : bool
        Whether its volumes and network are there.
    containers : tuple of Container
        The worker first.
    requests : mapping of str to str
        What the worker asks for.
    memory_volumes : tuple of str
        Names of its emptyDirs that are memory.
    index : int or None
        The shard that it computes.
    """

    name: str
    uid: str
    node: str
    phase: str
    reason: str
    message: str
    created: dt.datetime | None
    accepted: dt.datetime | None
    deleting: dt.datetime | None
    gone: bool
    disruption: Condition | None
    unscheduled: Condition | None
    prepared: bool
    containers: tuple[Container, ...]
    requests: Mapping[str, str]
    memory_volumes: tuple[str, ...]
    index: int | None = None

    @property
    def worker(self) -> Container | None:
        """The worker's container, None as long as nothing is known of it."""
        return next((container for container in self.containers if container.is_worker), None)

    @property
    def started(self) -> dt.datetime | None:
        """When the worker started."""
        return self.worker.started if self.worker is not None else None

    @property
    def over(self) -> bool:
        """Whether it can't run, now or later: gone, ended, or deleted before it had a node."""
        return self.gone or self.phase in ("Succeeded", "Failed") or (self.deleting is not None and not self.node)

    @property
    def devices(self) -> tuple[str, ...]:
        """Extended resources that it asks for, such as GPUs."""
        return tuple(name for name in self.requests if "/" in name)

    def silent(self, now: dt.datetime, grace_s: float) -> bool:
        """Tell whether it should have ended so long ago that its node can't be alive."""
        return not self.over and self.deleting is not None and (now - self.deleting).total_seconds() > grace_s


def read_pods(pods: Iterable[object]) -> tuple[Pod, ...]:
    """Return Pods, oldest first."""
    found = [_read(pod) for pod in pods if isinstance(pod, Mapping)]
    return tuple(sorted(found, key=lambda pod: (pod.created or _BEGINNING, pod.name)))


def read_conditions(status: Mapping[str, Any]) -> dict[str, tuple[bool, Condition]]:
    """Return the conditions of a Job or a Pod by type, and whether each holds."""
    return {
        text(raw.get("type")): (
            flag(raw.get("status")),
            Condition(text(raw.get("reason")), text(raw.get("message")), moment(raw.get("lastTransitionTime"))),
        )
        for raw in objects(status.get("conditions"))
    }


def _read(pod: Mapping[str, Any]) -> Pod:
    metadata, spec, status = mapping(pod.get("metadata")), mapping(pod.get("spec")), mapping(pod.get("status"))
    conditions = read_conditions(status)
    holds = {name: condition for name, (on, condition) in conditions.items() if on}
    scheduled, why = conditions.get("PodScheduled", (True, None))
    containers = read_containers(status)
    return Pod(
        name=text(metadata.get("name")),
        uid=text(metadata.get("uid")),
        node=text(spec.get("nodeName")),
        phase=text(status.get("phase")),
        reason=text(status.get("reason")),
        message=text(status.get("message")),
        created=moment(metadata.get("creationTimestamp")),
        accepted=moment(status.get("startTime")),
        deleting=moment(metadata.get("deletionTimestamp")),
        gone=pod.get(GONE) is True,
        disruption=holds.get("DisruptionTarget"),
        unscheduled=None if scheduled else why,
        prepared="PodReadyToStartContainers" in holds,
        containers=containers,
        requests=_requests(spec, containers),
        memory_volumes=tuple(
            text(volume.get("name"))
            for volume in objects(spec.get("volumes"))
            if mapping(volume.get("emptyDir")).get("medium") == "Memory"
        ),
        index=_index(mapping(metadata.get("labels")).get(INDEX_LABEL)),
    )


def _index(label: object) -> int | None:
    return int(label) if isinstance(label, str) and label.isascii() and label.isdecimal() and len(label) < 10 else None


def _requests(spec: Mapping[str, Any], containers: tuple[Container, ...]) -> dict[str, str]:
    """Return what the worker's container asks for; of its limits only what it doesn't request."""
    named = objects(spec.get("containers"))
    worker = next((c.name for c in containers if c.is_worker), "")
    chosen = next((raw for raw in named if text(raw.get("name")) == worker), named[0] if named else {})
    resources = mapping(chosen.get("resources"))
    asked = dict(mapping(resources.get("limits"))) | dict(mapping(resources.get("requests")))
    return {text(name): text(str(value)) for name, value in asked.items() if isinstance(value, str | int)}
