"""Lists, in pages that are all of one moment."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

from tests.support.kube import errors, selectors
from tests.support.kube.clock import FakeClock
from tests.support.kube.requests import Request, wants_table
from tests.support.kube.resources import ResourceType
from tests.support.kube.store import Entry, Store
from tests.support.kube.tables import Tables

_PAGES = 2000


class Lister:
    """Answers lists; remembers what later pages of one must hold."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.clock = clock
        self.tables = Tables(clock)
        self._store = store
        self._pages: dict[str, tuple[int, list[Entry]]] = {}
        self._numbers = itertools.count(1)

    def select(self, request: Request, resource: ResourceType) -> list[Entry]:
        """Return what a request's selectors choose."""
        labels = selectors.parse_labels(request.query.get("labelSelector", ""))
        fields = selectors.parse_fields(resource, request.query.get("fieldSelector", ""))
        found = self._store.list(resource, request.namespace)
        return [one for one in found if labels(one.obj) and fields(one.obj)]

    def list(self, request: Request, resource: ResourceType) -> bytes:
        """Return the JSON of a list, or of one page of it.

        Raises
        ------
        ApiError
            410 if the moment of the list's first page is no longer known, 400 for a token that never was.
        """
        limit = int(request.query.get("limit") or 0)
        token = request.query.get("continue", "")
        wanted = request.query.get("resourceVersion", "")
        if token:
            rv, found = self._continued(resource, token)
        else:
            rv, found = self._store.rv, self.select(request, resource)
            if wanted == "0":
                limit = 0  # the watch cache answers, and doesn't know pages
            elif wanted.isdigit() and int(wanted) > rv:
                raise errors.ApiError(
                    504,
                    f"Too large resource version: {wanted}, current: {rv}",
                    details={
                        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
                    },
                    retry_after=1,
                )
        meta: dict[str, Any] = {"resourceVersion": str(rv)}
        page = found
        if limit and len(found) > limit:
            page = found[:limit]
            meta["continue"] = self._remember(resource, rv, found[limit:])
            if not request.query.get("labelSelector") and not request.query.get("fieldSelector"):
                meta["remainingItemCount"] = len(found) - limit
        if wants_table(request):
            return self.tables.render(resource, [entry.obj for entry in page], meta, heads=True)
        return self.render(resource, page, meta)

    def render(self, resource: ResourceType, entries: list[Entry], meta: dict[str, Any]) -> bytes:
        """Return the JSON of a list; only items of custom resources say their kind."""
        head = {"kind": f"{resource.kind}List", "apiVersion": resource.group_version, "metadata": meta}
        items = b",".join(one.data if resource.custom else one.body for one in entries)
        start = json.dumps(head, separators=(",", ":"))[:-1].encode()
        return start + b',"items":[' + items + b"]}\n"

    def _remember(self, resource: ResourceType, rv: int, rest: list[Entry]) -> str:
        number = f"{resource.plural}/{next(self._numbers)}"
        self._pages[number] = (rv, rest)
        while len(self._pages) > _PAGES:
            del self._pages[next(iter(self._pages))]
        return base64.urlsafe_b64encode(
            json.dumps({"v": "meta.k8s.io/v1", "rv": rv, "start": number}).encode()
        ).decode()

    def _continued(self, resource: ResourceType, token: str) -> tuple[int, list[Entry]]:
        try:
            told = json.loads(base64.urlsafe_b64decode(token))
            rv, number = told["rv"], told["start"]
        except (ValueError, KeyError, TypeError) as error:
            raise errors.ApiError(400, f"continue key is not valid: {error}") from error
        if number not in self._pages or self._store.table(resource).compacted > rv:
            raise errors.expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                "list without the continue parameter."
            )
        return self._pages[number]
