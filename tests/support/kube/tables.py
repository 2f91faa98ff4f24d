"""Tables, as ``kubectl get`` asks for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.support.kube.clock import FakeClock
from tests.support.kube.meta import condition
from tests.support.kube.resources import JOBS, PODS, ResourceType
from tests.support.kube.store import Object

_STEP = re.compile(r"\.?([A-Za-z0-9_-]+)|\[(\d+|\*)\]|\[\?\(@\.([A-Za-z0-9_.]+)\s*==\s*['\"]([^'\"]*)['\"]\)\]")
_UNITS = ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"))

Columns = list[dict[str, Any]]


class Tables:
    """Shows objects in rows; ``columns`` are those that a CustomResourceDefinition names."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.columns: dict[ResourceType, Columns] = {}

    def render(self, resource: ResourceType, objects: list[Object], meta: dict[str, Any], *, heads: bool) -> bytes:
        """Return the JSON of a table; only the first of a watch has ``heads``."""
        shown: list[tuple[dict[str, Any], Callable[[Object], Any]]] = [(_head("Name", form="name"), _name)]
        if resource is JOBS:
            shown += [(_head("Status"), _job_status), (_head("Completions"), _completions)]
        elif resource is PODS:
            shown += [(_head("Ready"), _ready), (_head("Status"), _pod_status), (_head("Restarts"), lambda pod: 0)]
        columns = self.columns.get(resource) or ()
        shown += [(self._custom(one), self._cell(one)) for one in columns]
        if not columns:
            shown.append((_head("Age"), lambda obj: self._age(obj["metadata"].get("creationTimestamp"))))
        rows = [{"cells": [cell(obj) for _, cell in shown], "object": _partial(obj)} for obj in objects]
        table: dict[str, Any] = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
        table["columnDefinitions"] = [head for head, _ in shown] if heads else None
        return json.dumps({**table, "rows": rows}, separators=(",", ":")).encode()

    def _custom(self, column: dict[str, Any]) -> dict[str, Any]:
        return _head(
            column["name"],
            kind=column["type"],
            form=column.get("format", ""),
            priority=column.get("priority", 0),
            description=column.get("description", ""),
        )

    def _cell(self, column: dict[str, Any]) -> Callable[[Object], Any]:
        def cell(obj: Object) -> Any:
            found = find(obj, column["jsonPath"])
            value = found[0] if found else None
            if value is None:
                return None
            if column["type"] == "date":
                return self._age(value)
            if column["type"] == "string":
                return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            return value

        return cell

    def _age(self, stamp: str | None) -> str:
        if not stamp:
            return "<unknown>"
        return _duration(self._clock() - self._clock.seconds_of(stamp))


def find(obj: Any, path: str) -> list[Any]:
    """Return what a simple JSONPath finds."""
    found = [obj]
    for step in _STEP.finditer(path):
        name, index, field, wanted = step.groups()
        after: list[Any] = []
        for one in found:
            if name is not None and isinstance(one, dict) and name in one:
                after.append(one[name])
            elif index is not None and isinstance(one, list):
                after += one if index == "*" else one[int(index) : int(index) + 1]
            elif field is not None and isinstance(one, list):
                after += [inner for inner in one if find(inner, f".{field}") == [wanted]]
        found = after
    return found


def _head(
    name: str, *, kind: str = "string", form: str = "", priority: int = 0, description: str = ""
) -> dict[str, Any]:
    return {"name": name, "type": kind, "format": form, "description": description, "priority": priority}


def _partial(obj: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _name(obj: Object) -> Any:
    return obj["metadata"]["name"]


def _job_status(job: Object) -> str:
    for kind in ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"):
        if condition(job, kind):
            return {"Complete": "Complete", "Failed": "Failed"}.get(kind, kind)
    if "deletionTimestamp" in job["metadata"]:
        return "Terminating"
    return "Suspended" if condition(job, "Suspended") else "Running"


def _completions(job: Object) -> str:
    return f"{(job.get('status') or {}).get('succeeded', 0)}/{job['spec'].get('completions', 1)}"


def _ready(pod: Object) -> str:
    statuses = pod["status"].get("containerStatuses") or []
    return f"{sum(one['ready'] for one in statuses)}/{len(pod['spec']['containers'])}"


def _pod_status(pod: Object) -> str:
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    for one in pod["status"].get("containerStatuses") or ():
        for state in ("waiting", "terminated"):
            if state in one["state"]:
                return str(one["state"][state].get("reason"))
    return str(pod["status"].get("reason") or pod["status"].get("phase"))


def _duration(seconds: float) -> str:
    left = max(int(seconds), 0)
    if left < 120:
        return f"{left}s"
    said = ""
    for size, unit in _UNITS:
        if left >= size:
            said += f"{left // size}{unit}"
            left %= size
            if said.count(unit) and len(re.findall(r"[a-z]", said)) == 2:
                break
    return said
