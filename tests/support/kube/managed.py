"""``managedFields``: who set what. Nobody here reads it, but it is half of what an object weighs."""

from __future__ import annotations

from typing import Any

from tests.support.kube.resources import ResourceType
from tests.support.kube.store import Object

_OWN = ("name", "namespace", "uid", "creationTimestamp", "generation", "managedFields", "resourceVersion")


def managed_fields(resource: ResourceType, obj: Object, manager: str, now: str) -> list[dict[str, Any]]:
    """Return the entry that creating an object leaves."""
    meta = {name: value for name, value in obj["metadata"].items() if name not in _OWN}
    rest = {name: value for name, value in obj.items() if name not in ("metadata", "kind", "apiVersion")}
    fields = _fields({"metadata": meta, **rest})
    entry = {"manager": manager, "operation": "Update", "apiVersion": resource.group_version, "time": now}
    return [{**entry, "fieldsType": "FieldsV1", "fieldsV1": fields}]


def _fields(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {f"f:{name}": _fields(one) for name, one in value.items()}
    if isinstance(value, list) and value and all(isinstance(one, dict) and "name" in one for one in value):
        return {f'k:{{"name":"{one["name"]}"}}': {".": {}, **_fields(one)} for one in value}
    return {}
