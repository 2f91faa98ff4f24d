"""Small questions about any object."""

from __future__ import annotations

from typing import Any

from tests.support.kube.store import Key, Object


def key_of(obj: Object) -> Key:
    """Return where an object is."""
    return Key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def condition(obj: Object, kind: str) -> dict[str, Any] | None:
    """Return a condition of an object that is True."""
    for one in (obj.get("status") or {}).get("conditions") or ():
        if one["type"] == kind and one["status"] == "True":
            return one
    return None


def controller_of(obj: Object) -> dict[str, Any] | None:
    """Return the ownerReference of what controls an object."""
    for one in obj["metadata"].get("ownerReferences") or ():
        if one.get("controller"):
            return one
    return None
