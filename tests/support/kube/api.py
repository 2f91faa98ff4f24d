"""Answers to requests, without HTTP: what the server at the wire hands on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.kube import errors, patch
from tests.support.kube.discovery import Discovery
from tests.support.kube.lists import Lister
from tests.support.kube.requests import Request, wants_table
from tests.support.kube.resources import JOBS, Registry, ResourceType
from tests.support.kube.store import Entry, Key, Store
from tests.support.kube.watches import Watch, plan_watch
from tests.support.kube.writer import Writer

VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-04-22T12:00:00Z",
    "goVersion": "go1.25.0",
    "compiler": "gc",
    "platform": "linux/amd64",
}


@dataclass
class Response:
    """An answer."""

    code: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def reply(value: Any, code: int = 200, **headers: str) -> Response:
    """Return an answer of JSON."""
    return Response(code, json.dumps(value, separators=(",", ":")).encode() + b"\n", headers=headers)


Subresource = Callable[[Request], Response]


class Api:
    """The resources over the store."""

    def __init__(self, store: Store, registry: Registry, writer: Writer, lister: Lister) -> None:
        self._store = store
        self._discovery = Discovery(registry, self._schema_of)
        self._writer = writer
        self._lister = lister
        self.subresources: dict[tuple[str, str, str], Subresource] = {}
        """Further paths by verb, resource and subresource."""
        self.allowed: Callable[[Request], bool] = lambda request: True
        self.user = "system:serviceaccount:lab:fmdj"

    def answer(self, request: Request) -> Response | Watch:
        """Return the answer to a request.

        Raises
        ------
        ApiError
            Where the answer is a refusal.
        """
        if request.path in ("/healthz", "/livez", "/readyz"):
            return Response(200, b"ok", "text/plain; charset=utf-8")
        if request.path == "/version":
            return reply(VERSION)
        if not request.resource:
            return reply(self._discovery.answer(request.path))
        if not self.allowed(request):
            raise self._denied(request)
        special = self.subresources.get((request.verb, request.resource, request.subresource))
        if special is not None and (request.type is not None or not request.subresource):
            return special(request)
        if request.type is None:
            raise errors.no_such_path()
        handle = getattr(self, f"_{request.verb}", None)
        if handle is None or request.subresource not in ("", *(("status",) if request.type.status else ())):
            raise errors.no_such_path()
        with self._store.lock:
            return handle(request, request.type)

    def _schema_of(self, resource: ResourceType) -> dict[str, Any] | None:
        found = self._writer.schemas.get(resource)
        return None if found is None else found.schema

    def _denied(self, request: Request) -> errors.ApiError:
        resource = ResourceType(request.group, "", request.resource, "")
        where = f' in the namespace "{request.namespace}"' if request.namespace else " at the cluster scope"
        return errors.forbidden(
            resource,
            request.name,
            f'User "{self.user}" cannot {request.verb} resource "{request.target}" in API group "{request.group}"'
            + where,
        )

    def _get(self, request: Request, resource: ResourceType) -> Response:
        entry = self._store.get(resource, request.key)
        if entry is None:
            raise errors.not_found(resource, request.name)
        if wants_table(request):
            meta = {"resourceVersion": str(entry.rv)}
            return Response(200, self._lister.tables.render(resource, [entry.obj], meta, heads=True))
        return Response(200, entry.data + b"\n")

    def _list(self, request: Request, resource: ResourceType) -> Response:
        return Response(200, self._lister.list(request, resource))

    def _watch(self, request: Request, resource: ResourceType) -> Watch:
        return plan_watch(request, resource, self._store, self._lister.clock, self._lister.tables)

    def _create(self, request: Request, resource: ResourceType) -> Response:
        if request.name:
            raise errors.ApiError(405, "the server does not allow this method on the requested resource")
        entry, warnings = self._writer.create(
            resource, request.namespace, parse_body(request), dry_run=_dry(request), strict=_strict(request)
        )
        return self._written(entry, 201, warnings)

    def _update(self, request: Request, resource: ResourceType) -> Response:
        body = parse_body(request)
        return self._change(request, resource, lambda old: body)

    def _patch(self, request: Request, resource: ResourceType) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        body = parse_body(request)

        def change(old: dict[str, Any]) -> dict[str, Any]:
            return patch.apply(kind, old, body, custom=resource.custom)

        if kind not in (patch.MERGE, patch.JSON, patch.STRATEGIC):
            change({})
        return self._change(request, resource, change, patched=True)

    def _change(
        self, request: Request, resource: ResourceType, change: Callable[[Any], Any], *, patched: bool = False
    ) -> Response:
        entry, warnings, new = self._writer.update(
            resource,
            request.key,
            change,
            subresource=request.subresource,
            dry_run=_dry(request),
            strict=_strict(request),
            patch=patched,
        )
        return self._written(entry, 201 if new else 200, warnings)

    def _delete(self, request: Request, resource: ResourceType) -> Response:
        options = _delete_options(request)
        entry, gone = self._writer.delete(resource, request.key, options)
        headers = {}
        if resource is JOBS and not {"propagationPolicy", "orphanDependents"} & options.keys():
            headers["Warning"] = (
                '299 - "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background '
                'to remove them or set propagationPolicy=Orphan to suppress this warning"'
            )
        if not gone or resource.returns_deleted:
            return Response(200, entry.data + b"\n", headers=headers)
        details = {
            "name": request.name,
            "group": resource.group,
            "kind": resource.plural,
            "uid": entry.obj["metadata"]["uid"],
        }
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {name: value for name, value in details.items() if value},
        }
        return reply(status, **headers)

    def _deletecollection(self, request: Request, resource: ResourceType) -> Response:
        found = self._lister.select(request, resource)
        for entry in found:
            meta = entry.obj["metadata"]
            self._writer.delete(resource, Key(meta.get("namespace", ""), meta["name"]), _delete_options(request))
        return Response(200, self._lister.render(resource, found, {"resourceVersion": str(self._store.rv)}))

    def _written(self, entry: Entry, code: int, warnings: list[str]) -> Response:
        headers = {"Warning": ", ".join(f"299 - {json.dumps(one)}" for one in warnings)} if warnings else {}
        return Response(code, entry.data + b"\n", headers=headers)


def parse_body(request: Request) -> Any:
    """Return the JSON of a request.

    Raises
    ------
    ApiError
        415 for protobuf, which kubectl sends for what it makes itself; 400 for what isn't JSON.
    """
    if "protobuf" in request.headers.get("content-type", ""):
        raise errors.ApiError(
            415, "the body of the request was in an unknown format - accepted media types include: application/json"
        )
    try:
        return json.loads(request.body)
    except ValueError as error:
        raise errors.ApiError(400, f"couldn't get version/kind; json parse error: {error}") from error


def _dry(request: Request) -> bool:
    return request.query.get("dryRun") == "All"


def _strict(request: Request) -> bool:
    return request.query.get("fieldValidation") == "Strict"


def _delete_options(request: Request) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name in ("propagationPolicy", "gracePeriodSeconds", "orphanDependents", "dryRun"):
        if name in request.query:
            value: Any = request.query[name]
            options[name] = value == "true" if name == "orphanDependents" else value
    if request.body.strip():
        body = parse_body(request)
        options.update({name: value for name, value in body.items() if value is not None})
    return options
