"""All objects of the cluster, every change of them, and who is waiting for the next."""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.support.kube.resources import ResourceType

Object = dict[str, Any]


class Key(NamedTuple):
    """Where an object is among those of its resource."""

    namespace: str
    name: str


class Entry:
    """One version of an object. Never changed; serialised once."""

    __slots__ = ("_body", "obj", "rv")

    def __init__(self, obj: Object, rv: int) -> None:
        self.obj = obj
        self.rv = rv
        self._body: bytes | None = None

    @property
    def body(self) -> bytes:
        """JSON without ``kind`` and ``apiVersion``, as a list of a built-in resource holds it."""
        if self._body is None:
            rest = {name: value for name, value in self.obj.items() if name not in ("kind", "apiVersion")}
            self._body = json.dumps(rest, separators=(",", ":")).encode()
        return self._body

    @property
    def data(self) -> bytes:
        """JSON with ``kind`` and ``apiVersion``, as everything else has it."""
        head = json.dumps({"kind": self.obj["kind"], "apiVersion": self.obj["apiVersion"]}, separators=(",", ":"))
        return head[:-1].encode() + b"," + self.body[1:]

    def copy(self) -> Object:
        """Return the object to be changed."""
        return json.loads(self.data)


class Change(NamedTuple):
    """One change: the new version and the one before; a removal's new version is the last state, newly numbered."""

    rv: int
    type: str
    new: Entry
    old: Entry | None


class Table:
    """Objects and history of one resource."""

    def __init__(self, keep: int) -> None:
        self.entries: dict[Key, Entry] = {}
        self.history: list[Change] = []
        self.compacted = 0
        self._keep = keep

    def record(self, change: Change) -> None:
        """Add to the history, and forget what is too old."""
        self.history.append(change)
        if len(self.history) > 2 * self._keep:
            self.forget(self.history[-self._keep - 1].rv)

    def forget(self, rv: int) -> None:
        """Forget changes up to a version: watches from before it are told 410."""
        self.compacted = max(self.compacted, rv)
        del self.history[: bisect_right(self.history, rv, key=lambda change: change.rv)]

    def since(self, rv: int) -> list[Change]:
        """Return changes after a version."""
        if not self.history or self.history[-1].rv <= rv:
            return []
        return self.history[bisect_right(self.history, rv, key=lambda change: change.rv) :]


class Store:
    """Objects of all resources under one counter of versions, as in etcd.

    Every method but the lock's own is called with :attr:`lock` held, or from one thread.
    """

    def __init__(self, *, keep: int = 50_000) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.rv = 1000
        self.listeners: list[Callable[[ResourceType, Change], None]] = []
        self._keep = keep
        self._tables: dict[ResourceType, Table] = {}
        self._owned: dict[str, set[tuple[ResourceType, Key]]] = {}
        self._uids: dict[str, tuple[ResourceType, Key]] = {}

    def table(self, resource: ResourceType) -> Table:
        """Return a resource's table."""
        found = self._tables.get(resource)
        if found is None:
            found = self._tables[resource] = Table(self._keep)
        return found

    def drop(self, resource: ResourceType) -> None:
        """Forget a resource and all its objects."""
        self._tables.pop(resource, None)

    def get(self, resource: ResourceType, key: Key) -> Entry | None:
        """Return an object's version of now."""
        return self.table(resource).entries.get(key)

    def list(self, resource: ResourceType, namespace: str = "") -> list[Entry]:
        """Return a resource's objects in the order of their keys."""
        entries = self.table(resource).entries
        return [entries[key] for key in sorted(entries) if not namespace or key.namespace == namespace]

    def owned(self, uid: str, resource: ResourceType | None = None) -> list[tuple[ResourceType, Entry]]:
        """Return what names an object among its owners, oldest first."""
        found = [
            (kind, self._tables[kind].entries[key])
            for kind, key in self._owned.get(uid, ())
            if resource is None or kind == resource
        ]
        return sorted(found, key=lambda one: (one[1].obj["metadata"]["creationTimestamp"], one[1].rv))

    def by_uid(self, uid: str) -> tuple[ResourceType, Entry] | None:
        """Return an object by its UID."""
        place = self._uids.get(uid)
        return None if place is None else (place[0], self._tables[place[0]].entries[place[1]])

    def put(self, resource: ResourceType, obj: Object) -> Entry:
        """Write an object. If nothing changes, the version stays."""
        meta = obj["metadata"]
        key = Key(meta.get("namespace", ""), meta["name"])
        table = self.table(resource)
        old = table.entries.get(key)
        if old is not None:
            meta["resourceVersion"] = str(old.rv)
            if obj == old.obj:
                return old
        self.rv += 1
        meta["resourceVersion"] = str(self.rv)
        new = Entry(obj, self.rv)
        table.entries[key] = new
        self._index(resource, key, old, new)
        self._tell(resource, table, Change(self.rv, "ADDED" if old is None else "MODIFIED", new, old))
        return new

    def edit(self, resource: ResourceType, key: Key, change: Callable[[Object], object], *parts: str) -> Entry | None:
        """Change a copy of an object in place and write it; None if there is none.

        ``parts``: what ``change`` touches besides ``metadata``, if that is known; the rest isn't copied then.
        """
        old = self.get(resource, key)
        if old is None:
            return None
        obj = old.copy() if not parts else {**old.obj, **{part: _clone(old.obj.get(part)) for part in parts}}
        if parts:
            # nobody changes managedFields, and they are large
            obj["metadata"] = {
                name: value if name == "managedFields" else _clone(value) for name, value in old.obj["metadata"].items()
            }
        change(obj)
        return self.put(resource, obj)

    def remove(self, resource: ResourceType, key: Key) -> Entry:
        """Remove an object, whatever its finalizers."""
        table = self.table(resource)
        old = table.entries.pop(key)
        self.rv += 1
        obj = old.copy()
        obj["metadata"]["resourceVersion"] = str(self.rv)
        last = Entry(obj, self.rv)
        self._index(resource, key, old, None)
        self._tell(resource, table, Change(self.rv, "DELETED", last, old))
        return last

    def compact(self) -> None:
        """Forget all history: every older version is answered 410."""
        for table in self._tables.values():
            table.forget(self.rv)

    def wake(self) -> None:
        """Let whoever waits look again."""
        with self.lock:
            self.changed.notify_all()

    def _tell(self, resource: ResourceType, table: Table, change: Change) -> None:
        table.record(change)
        for listener in self.listeners:
            listener(resource, change)
        self.changed.notify_all()

    def _index(self, resource: ResourceType, key: Key, old: Entry | None, new: Entry | None) -> None:
        before = {} if old is None else dict.fromkeys(_owners(old.obj))
        after = {} if new is None else dict.fromkeys(_owners(new.obj))
        for uid in before.keys() - after.keys():
            self._owned[uid].discard((resource, key))
        for uid in after.keys() - before.keys():
            self._owned.setdefault(uid, set()).add((resource, key))
        if old is not None:
            self._uids.pop(old.obj["metadata"]["uid"], None)
        if new is not None:
            self._uids[new.obj["metadata"]["uid"]] = (resource, key)


def _clone(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _clone(one) for name, one in value.items()}
    return [_clone(one) for one in value] if isinstance(value, list) else value


def _owners(obj: Object) -> Iterator[str]:
    for reference in obj["metadata"].get("ownerReferences") or ():
        yield reference["uid"]
