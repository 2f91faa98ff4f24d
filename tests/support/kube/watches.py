"""Watches: which changes a client is told, and how."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.support.kube import errors, selectors
from tests.support.kube.clock import FakeClock
from tests.support.kube.requests import Request, wants_table
from tests.support.kube.resources import ResourceType
from tests.support.kube.store import Change, Entry, Store
from tests.support.kube.tables import Tables

BOOKMARK_S = 60.0
_DEFAULT_S = 1800.0


class Watch:
    """One watch: what to send first, then what each change means to it.

    ``position`` is the version up to which everything has been handed out.
    """

    def __init__(
        self, request: Request, resource: ResourceType, store: Store, clock: FakeClock, tables: Tables
    ) -> None:
        self.request = request
        self.resource = resource
        self.first: list[bytes] = []
        self.over = False
        self._headed = False
        self._labels = selectors.parse_labels(request.query.get("labelSelector", ""))
        self._fields = selectors.parse_fields(resource, request.query.get("fieldSelector", ""))
        self._store = store
        self._tables = tables if wants_table(request) else None
        self._clock = clock
        # Events aren't in the API server's watch cache, and only that sends bookmarks
        asked = request.query.get("allowWatchBookmarks") in ("1", "true", "True")
        self._bookmarks = asked and resource.plural != "events"
        timeout = float(request.query.get("timeoutSeconds") or _DEFAULT_S)
        self.ends = clock() + timeout
        self._bookmark_at = clock() + min(BOOKMARK_S, max(timeout - 2, 0.001))
        self.position = store.rv

    def begin(self) -> None:
        """Find out where to begin; the lock is held."""
        wanted = self.request.query.get("resourceVersion", "")
        table = self._store.table(self.resource)
        initial = self.request.query.get("sendInitialEvents") == "true"
        if wanted in ("", "0") or initial:
            for entry in self._store.list(self.resource, self.request.namespace):
                if self._wants(entry):
                    self.first.append(_line("ADDED", self._shown(entry)))
            if initial:
                self.first.append(self._bookmark(end=True))
            return
        if not wanted.isdigit():
            raise errors.ApiError(
                400, f'Invalid value: "{wanted}": strconv.ParseUint: parsing "{wanted}": invalid syntax'
            )
        if int(wanted) < table.compacted:
            gone = errors.expired(f"too old resource version: {wanted} ({table.compacted})")
            self.first.append(_line("ERROR", json.dumps(gone.status()).encode()))
            self.over = True
            return
        self.position = int(wanted)

    def pending(self) -> tuple[list[Change], bool]:
        """Return changes not yet handed out, and whether the watch's time is over; the lock is held."""
        changes = self._store.table(self.resource).since(self.position)
        return changes, self._clock() >= self.ends

    def lines(self, changes: list[Change]) -> Iterator[bytes]:
        """Return what changes mean to this client."""
        for change in changes:
            line = self._tell(change)
            if line is not None:
                yield line
        if changes:
            self.position = changes[-1].rv

    def bookmark(self) -> bytes | None:
        """Return a bookmark if one is due."""
        now = self._clock()
        if not self._bookmarks or now < self._bookmark_at:
            return None
        if now < self.ends - 2:
            self._bookmark_at = min(now + BOOKMARK_S, self.ends - 2)
        else:
            self._bookmark_at = float("inf")
        return self._bookmark()

    def _bookmark(self, *, end: bool = False) -> bytes:
        # the version that everything before has been sent of, at least
        meta: dict[str, object] = {"resourceVersion": str(self._sent()), "creationTimestamp": None}
        if end:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj = {"kind": self.resource.kind, "apiVersion": self.resource.group_version, "metadata": meta}
        return _line("BOOKMARK", json.dumps(obj, separators=(",", ":")).encode())

    def _sent(self) -> int:
        with self._store.lock:
            waiting = self._store.table(self.resource).since(self.position)
            if not waiting:
                self.position = max(self.position, self._store.rv)
            return self.position

    def _shown(self, entry: Entry) -> bytes:
        if self._tables is None:
            return entry.data
        heads, self._headed = not self._headed, True
        return self._tables.render(self.resource, [entry.obj], {"resourceVersion": str(entry.rv)}, heads=heads)

    def _wants(self, entry: Entry) -> bool:
        namespace = self.request.namespace
        if namespace and entry.obj["metadata"].get("namespace") != namespace:
            return False
        if self.request.name and entry.obj["metadata"]["name"] != self.request.name:
            return False
        return self._labels(entry.obj) and self._fields(entry.obj)

    def _tell(self, change: Change) -> bytes | None:
        new = change.type != "DELETED" and self._wants(change.new)
        old = change.old is not None and self._wants(change.old)
        if new:
            return _line("MODIFIED" if old else "ADDED", self._shown(change.new))
        if old:
            # also what no longer matches is deleted, to this client
            return _line("DELETED", self._shown(change.new))
        return None


def plan_watch(request: Request, resource: ResourceType, store: Store, clock: FakeClock, tables: Tables) -> Watch:
    """Return a watch as asked for; the lock is held."""
    watch = Watch(request, resource, store, clock, tables)
    watch.begin()
    return watch


def _line(kind: str, data: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + data + b"}\n"
