"""Deletion by stages: preconditions, finalizers, grace."""

from __future__ import annotations

from typing import Any

from tests.support.kube import errors
from tests.support.kube.clock import FakeClock
from tests.support.kube.resources import JOBS, PODS, ResourceType
from tests.support.kube.store import Entry, Key, Object, Store

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class Deleter:
    """Deletes as the API server does."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self._store = store
        self._clock = clock

    def is_over(self, entry: Entry) -> bool:
        """Return whether nothing holds an object that is being deleted."""
        meta = entry.obj["metadata"]
        if "deletionTimestamp" not in meta or meta.get("finalizers"):
            return False
        return meta.get("deletionGracePeriodSeconds", 0) == 0

    def delete(self, resource: ResourceType, key: Key, options: dict[str, Any]) -> tuple[Entry, bool]:
        """Delete an object, or begin to; return it and whether it is gone.

        Raises
        ------
        ApiError
            As Kubernetes would answer.
        """
        old = self._store.get(resource, key)
        if old is None:
            raise errors.not_found(resource, key.name)
        meta = old.obj["metadata"]
        wanted = options.get("preconditions") or {}
        for field, name, value in (("uid", "UID", meta["uid"]), ("resourceVersion", "ResourceVersion", str(old.rv))):
            if wanted.get(field) not in (None, value):
                why = f"Precondition failed: {name} in precondition: {wanted[field]}, {name} in object meta: {value}"
                raise errors.conflict(resource, key.name, why)
        finalizers = _finalizers(resource, meta.get("finalizers") or [], options)
        grace = _grace(resource, old.obj, options)
        if "deletionTimestamp" in meta:
            left = meta.get("deletionGracePeriodSeconds", 0)
            grace = min(left, grace)
            if grace == left and finalizers == (meta.get("finalizers") or []) and (finalizers or grace):
                return old, False
        if options.get("dryRun"):
            return old, not finalizers and grace == 0
        if not finalizers and grace == 0:
            return self._store.remove(resource, key), True

        def change(obj: Object) -> None:
            fresh = obj["metadata"]
            if "deletionTimestamp" not in fresh and fresh.get("generation"):
                fresh["generation"] += 1
            if "deletionTimestamp" not in fresh or grace < fresh.get("deletionGracePeriodSeconds", 0):
                fresh["deletionTimestamp"] = self._clock.stamp(grace)
                fresh["deletionGracePeriodSeconds"] = grace
            if finalizers:
                fresh["finalizers"] = finalizers
            else:
                fresh.pop("finalizers", None)

        new = self._store.edit(resource, key, change, "metadata")
        assert new is not None
        return new, False

    def drop_finalizer(self, resource: ResourceType, key: Key, finalizer: str) -> None:
        """Remove a finalizer, and with the last one an object that is being deleted."""

        def change(obj: Object) -> None:
            left = [one for one in obj["metadata"].get("finalizers") or [] if one != finalizer]
            if left:
                obj["metadata"]["finalizers"] = left
            else:
                obj["metadata"].pop("finalizers", None)

        new = self._store.edit(resource, key, change, "metadata")
        if new is not None and self.is_over(new):
            self._store.remove(resource, key)


def _finalizers(resource: ResourceType, now: list[str], options: dict[str, Any]) -> list[str]:
    policy = options.get("propagationPolicy")
    if policy is None and options.get("orphanDependents") is not None:
        policy = "Orphan" if options["orphanDependents"] else "Background"
    if policy is None:
        if FOREGROUND in now or ORPHAN in now:
            return now
        # a Job deleted without saying how leaves its pods behind, for the sake of ancient clients
        policy = "Orphan" if resource is JOBS else "Background"
    if policy not in ("Orphan", "Foreground", "Background"):
        raise errors.invalid(
            ResourceType("meta.k8s.io", "v1", "deleteoptions", "DeleteOptions"),
            "",
            [
                (
                    "propagationPolicy",
                    "FieldValueNotSupported",
                    f'Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan", "nil"',
                )
            ],
        )
    kept = [one for one in now if one not in (FOREGROUND, ORPHAN)]
    return kept + {"Orphan": [ORPHAN], "Foreground": [FOREGROUND], "Background": []}[policy]


def _grace(resource: ResourceType, obj: Object, options: dict[str, Any]) -> int:
    if resource is not PODS:
        return 0
    spec, phase = obj.get("spec") or {}, (obj.get("status") or {}).get("phase")
    wanted = options.get("gracePeriodSeconds")
    if wanted is None:
        wanted = spec.get("terminationGracePeriodSeconds", 30)
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    return max(int(wanted), 0)
