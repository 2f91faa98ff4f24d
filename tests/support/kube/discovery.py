"""What the server says about itself: groups, resources, and as much OpenAPI as kubectl asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.kube import errors
from tests.support.kube.resources import Registry, ResourceType

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_REVIEWS = ResourceType(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)


class Discovery:
    """Answers ``/api``, ``/apis`` and ``/openapi``."""

    def __init__(self, registry: Registry, schema: Callable[[ResourceType], dict[str, Any] | None]) -> None:
        self._registry = registry
        self._schema = schema

    def answer(self, path: str) -> dict[str, Any]:
        """Return the JSON at a path.

        Raises
        ------
        ApiError
            404 where nothing is served.
        """
        parts = path.strip("/").split("/")
        if parts == ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        if parts == ["apis"]:
            groups = [_group(name, versions) for name, versions in self._groups().items()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        if parts[:2] == ["openapi", "v3"]:
            return self._index() if len(parts) == 2 else self._openapi("/".join(parts[3:]), parts[2])
        if parts[0] == "apis" and len(parts) == 2 and parts[1] in self._groups():
            return {**_group(parts[1], self._groups()[parts[1]]), "kind": "APIGroup", "apiVersion": "v1"}
        where = "/".join(parts[1:])
        served = [one for one in self._all() if one.group_version == where]
        if parts[0] not in ("api", "apis") or not served:
            raise errors.no_such_path()
        rows = [row for one in served for row in _rows(one)]
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": where, "resources": rows}

    def _all(self) -> list[ResourceType]:
        return [*self._registry.all(), _REVIEWS]

    def _groups(self) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for one in self._all():
            if one.group and one.version not in groups.setdefault(one.group, []):
                groups[one.group].append(one.version)
        return groups

    def _index(self) -> dict[str, Any]:
        places = {f"{'apis' if one.group else 'api'}/{one.group_version}" for one in self._registry.all()}
        return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}"} for place in sorted(places)}}

    def _openapi(self, group_version: str, prefix: str) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        schemas: dict[str, Any] = {}
        for one in self._registry.all():
            if one.group_version != group_version:
                continue
            kind = {"group": one.group, "version": one.version, "kind": one.kind}
            name = f"{one.group or 'core'}.{one.version}.{one.kind}"
            where = "namespaces/{namespace}/" if one.namespaced else ""
            names = ("dryRun", "fieldManager", "fieldValidation", "force")
            patch = {
                "parameters": [{"name": word, "in": "query", "schema": {"type": "string"}} for word in names],
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": kind,
            }
            paths[f"/{prefix}/{group_version}/{where}{one.plural}/{{name}}"] = {"patch": patch}
            schema = self._schema(one) or {"type": "object"}
            schemas[name] = {**schema, "x-kubernetes-group-version-kind": [kind]}
        if not paths:
            raise errors.no_such_path()
        info = {"title": "Kubernetes", "version": "v1.36.0"}
        return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _rows(one: ResourceType) -> list[dict[str, Any]]:
    row: dict[str, Any] = {
        "name": one.plural,
        "singularName": one.singular,
        "namespaced": one.namespaced,
        "kind": one.kind,
        "verbs": ["create"] if one is _REVIEWS else _VERBS,
    }
    if one.short_names:
        row["shortNames"] = list(one.short_names)
    rows = [row]
    if one.status:
        status = {"name": f"{one.plural}/status", "singularName": "", "verbs": ["get", "patch", "update"]}
        rows.append({**row, **status})
    return rows
