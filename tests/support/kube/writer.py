"""Writes as the API server does them: metadata, defaults, validation, preconditions, deletion by stages."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from typing import Any

from tests.support.kube import defaults, errors, validation
from tests.support.kube.clock import FakeClock
from tests.support.kube.custom import CustomSchema
from tests.support.kube.deletion import Deleter
from tests.support.kube.managed import managed_fields
from tests.support.kube.resources import EVENTS, JOBS, LEASES, NAMESPACES, PODS, ResourceType
from tests.support.kube.schema import Reader
from tests.support.kube.store import Entry, Key, Object, Store

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_KEPT = (
    "managedFields",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "namespace",
)

Admission = Callable[[ResourceType, Object, str], None]
"""May raise an ApiError, or change the object."""


class Writer(Deleter):
    """All writes of clients, and of the cluster's own controllers where they go through the API."""

    def __init__(self, store: Store, clock: FakeClock, *, seed: int = 0) -> None:
        super().__init__(store, clock)
        self._random = random.Random(seed)
        self.admission: list[Admission] = []
        self.schemas: dict[ResourceType, CustomSchema] = {}
        self.warnings: list[str] = []

    def new_uid(self) -> str:
        """Return a UID, the same ones in every run of a test."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def suffix(self) -> str:
        """Return five letters as ``generateName`` adds them."""
        return "".join(self._random.choice(_LETTERS) for _ in range(5))

    def create(
        self,
        resource: ResourceType,
        namespace: str,
        body: Any,
        *,
        dry_run: bool = False,
        strict: bool = False,
        manager: str = "OpenAPI-Generator",
    ) -> tuple[Entry, list[str]]:
        """Make an object; return it and the warnings that go with it.

        Raises
        ------
        ApiError
            As Kubernetes would answer.
        """
        if not isinstance(body, dict):
            raise errors.ApiError(400, "the object provided is unrecognized (must be of type object)")
        obj, missing, warnings = self._read(resource, body, strict=strict)
        meta = obj.setdefault("metadata", {})
        self._place(resource, namespace, meta)
        if resource.namespaced and self._store.get(NAMESPACES, Key("", namespace)) is None:
            raise errors.not_found(NAMESPACES, namespace)
        if meta.get("resourceVersion") not in (None, "", "0"):
            raise errors.ApiError(500, "resourceVersion should not be set on objects to be created")
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "managedFields"):
            meta.pop(name, None)
        meta["uid"] = self.new_uid()
        meta["creationTimestamp"] = self._clock.stamp()
        meta.pop("generation", None)
        if resource.generation:
            meta["generation"] = 1
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"][:58] + self.suffix()
        if resource.status:
            obj.pop("status", None)
        schema = self.schemas.get(resource)
        if schema is not None:
            obj, missing = self._pruned(resource, schema, obj, warnings, strict=strict), []
        else:
            defaults.fill(resource, obj)
        for admit in self.admission:
            admit(resource, obj, "create")
        validation.check(resource, obj, missing, schema)
        name = obj["metadata"]["name"]
        if self._store.get(resource, Key(meta.get("namespace", ""), name)) is not None:
            raise errors.already_exists(resource, name)
        if resource not in (EVENTS, LEASES):
            meta["managedFields"] = managed_fields(resource, obj, manager, self._clock.stamp())
        if dry_run:
            return Entry(obj, self._store.rv), warnings
        return self._store.put(resource, obj), warnings

    def update(
        self,
        resource: ResourceType,
        key: Key,
        change: Callable[[Object], Any],
        *,
        subresource: str = "",
        dry_run: bool = False,
        strict: bool = False,
        patch: bool = False,
    ) -> tuple[Entry, list[str], bool]:
        """Replace an object by what ``change`` returns of the one stored; the last value says whether it is new.

        Raises
        ------
        ApiError
            As Kubernetes would answer.
        """
        old = self._store.get(resource, key)
        if old is None:
            body = None if patch else change({})
            if body is None or not resource.create_on_update or subresource:
                raise errors.not_found(resource, key.name)
            body.get("metadata", {}).pop("resourceVersion", None)
            if body.get("metadata", {}).get("uid"):
                found = body["metadata"]["uid"]
                why = f"Precondition failed: UID in precondition: {found}, UID in object meta: "
                raise errors.conflict(resource, key.name, why)
            return *self.create(resource, key.namespace, body, dry_run=dry_run, strict=strict), True
        body = change(old.copy())
        if not isinstance(body, dict):
            raise errors.ApiError(400, "the object provided is unrecognized (must be of type object)")
        obj, missing, warnings = self._read(resource, body, strict=strict)
        meta = obj.setdefault("metadata", {})
        self._matches(resource, key, obj, old, patch=patch)
        for name in _KEPT:
            meta.pop(name, None)
            if name in old.obj["metadata"]:
                meta[name] = old.obj["metadata"][name]
        meta.pop("selfLink", None)
        obj = self._confined(resource, obj, old.copy(), subresource)
        schema = self.schemas.get(resource)
        if schema is not None:
            obj, missing = self._pruned(resource, schema, obj, warnings, strict=strict), []
        elif not subresource:
            _refill(resource, obj, old)
        if resource.generation and _wanted(obj) != _wanted(old.obj):
            obj["metadata"]["generation"] = old.obj["metadata"].get("generation", 0) + 1
        for admit in self.admission:
            admit(resource, obj, "update")
        if not subresource:
            validation.check(resource, obj, missing, schema, old.obj)
            validation.check_update(resource, obj, old.obj)
        elif schema is not None:
            validation.check(resource, obj, missing, schema, old.obj)
        if dry_run:
            return Entry(obj, old.rv), warnings, False
        new = self._store.put(resource, obj)
        if self.is_over(new):
            new = self._store.remove(resource, key)
        return new, warnings, False

    def _read(
        self, resource: ResourceType, body: dict[str, Any], *, strict: bool
    ) -> tuple[Object, list[str], list[str]]:
        kind, version = body.get("kind") or resource.kind, body.get("apiVersion") or resource.group_version
        if (kind, version) != (resource.kind, resource.group_version):
            raise errors.ApiError(
                400,
                f"{kind} in version {version!r} cannot be handled as a {resource.kind}: the API version in the data "
                f"({version}) does not match the expected API version ({resource.group_version})",
            )
        reader = Reader(resource)
        obj = reader.read({**body, "kind": kind, "apiVersion": version})
        return obj, reader.missing, self._unknown(resource, reader.unknown, strict=strict)

    def _pruned(
        self, resource: ResourceType, schema: CustomSchema, obj: Object, warnings: list[str], *, strict: bool
    ) -> Object:
        dropped: list[str] = []
        obj = schema.prune(obj, dropped)
        warnings += self._unknown(resource, dropped, strict=strict)
        return obj

    def _unknown(self, resource: ResourceType, fields: list[str], *, strict: bool) -> list[str]:
        """Warn of fields that are dropped, or refuse them."""
        warnings = [f'unknown field "{name}"' for name in fields]
        if warnings and strict:
            raise errors.ApiError(
                400,
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: strict '
                f"decoding error: {', '.join(warnings)}",
            )
        self.warnings += warnings
        return warnings

    def _place(self, resource: ResourceType, namespace: str, meta: dict[str, Any]) -> None:
        if not resource.namespaced:
            meta.pop("namespace", None)
            return
        if meta.setdefault("namespace", namespace) != namespace:
            raise errors.ApiError(
                400, "the namespace of the provided object does not match the namespace sent on the request"
            )

    def _matches(self, resource: ResourceType, key: Key, obj: Object, old: Entry, *, patch: bool) -> None:
        meta = obj["metadata"]
        if meta.setdefault("name", key.name) != key.name:
            raise errors.ApiError(
                400, f"the name of the object ({meta['name']}) does not match the name on the URL ({key.name})"
            )
        self._place(resource, key.namespace, meta)
        uid = old.obj["metadata"]["uid"]
        if meta.get("uid") not in (None, "", uid):
            if patch:
                cause = ("metadata.uid", "FieldValueInvalid", f'Invalid value: "{meta["uid"]}": field is immutable')
                raise errors.invalid(resource, key.name, [cause])
            why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {uid}"
            raise errors.conflict(resource, key.name, why)
        version = meta.get("resourceVersion")
        if version in (None, "", "0"):
            if not resource.unconditional:
                cause = (
                    "metadata.resourceVersion",
                    "FieldValueInvalid",
                    "Invalid value: 0: must be specified for an update",
                )
                raise errors.invalid(resource, key.name, [cause])
        elif version != str(old.rv):
            raise errors.stale(resource, key.name)

    def _confined(self, resource: ResourceType, obj: Object, old: Object, subresource: str) -> Object:
        """Only the status by its subresource, and never by the object's own path."""
        if subresource == "status":
            status = obj.get("status")
            if not resource.custom:
                # the built-in strategies let labels and annotations through
                for name in ("labels", "annotations", "finalizers"):
                    if name in obj["metadata"]:
                        old["metadata"][name] = obj["metadata"][name]
            old.pop("status", None)
            return old if status is None else {**old, "status": status}
        if resource.status:
            obj.pop("status", None)
            if "status" in old:
                obj["status"] = old["status"]
        return obj


def _wanted(obj: Object) -> dict[str, Any]:
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}


def _refill(resource: ResourceType, obj: Object, old: Entry) -> None:
    if resource is JOBS:
        defaults.fill_job_spec(obj.setdefault("spec", {}))
    elif resource is PODS:
        defaults.fill_pod_spec(obj.setdefault("spec", {}), whole=True)
    elif resource not in (EVENTS, LEASES):
        status = obj.get("status")
        defaults.fill(resource, obj)
        if status is not None:
            obj["status"] = status
