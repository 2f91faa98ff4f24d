"""Objects of one kind as they were last heard of, for one thread that hears and any number that ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from fmdj_cloud.control.kube.slim import Json, Slim

_GONE_MOST = 2000


class Store:
    """Objects by name. What it returns is never changed afterwards, and must not be.

    Parameters
    ----------
    slim : callable
        Returns what is kept of an object.
    group : callable, optional
        Returns what an object belongs to, for :meth:`group` and :meth:`gone`.
    most : int, optional
        So many objects are kept; those that have been there longest go first.
    telling : callable, optional
        Whether the last state of an object that is gone is kept (of the last 2,000), since it tells something.
    """

    def __init__(
        self,
        slim: Slim,
        group: Callable[[Json], str] = lambda _: "",
        most: int | None = None,
        telling: Callable[[Json], bool] = lambda _: False,
    ) -> None:
        self._slim = slim
        self._telling = telling
        self._lock = threading.Lock()
        self._objects = _Groups(group, most)
        self._gone = _Groups(group, _GONE_MOST)
        self._version = ""
        """All that happened until then is known."""
        self._put: set[str] = set()
        """Names of objects put since the list that is under way began."""

    def all(self) -> list[Json]:
        """Return all objects."""
        with self._lock:
            return list(self._objects.by_name.values())

    def get(self, name: str) -> Json | None:
        """Return an object, if there is one of that name."""
        with self._lock:
            return self._objects.by_name.get(name)

    def group(self, name: str) -> list[Json]:
        """Return the objects that belong to something."""
        with self._lock:
            return self._objects.of(name)

    def gone(self, name: str) -> list[Json]:
        """Return the last states of objects that belonged to something and don't exist any more."""
        with self._lock:
            return self._gone.of(name)

    def slimmed(self, objects: Iterable[Json]) -> list[Json]:
        """Return what is kept of objects."""
        return [kept for kept in map(self._slim, objects) if kept is not None]

    def begin(self) -> None:
        """Note that all objects are about to be listed."""
        with self._lock:
            self._put.clear()

    def replace(self, objects: Iterable[Json], version: str) -> None:
        """Take what a list has answered: `objects`, slimmed, as of `version`.

        What was put since the list began, and is newer than it, stays.
        """
        with self._lock:
            before = dict(self._objects.by_name)
            self._objects.clear()
            for thing in objects:
                self._objects.add(thing)
            for name in self._put & before.keys():
                if _is_newer(_version_of(before[name]), version):
                    self._objects.add(before[name])
            for name in before.keys() - self._objects.by_name.keys():
                self._bury(before[name])
            self._version = version

    def apply(self, kind: str, thing: Json, version: str) -> None:
        """Take an event of a watch: ``ADDED``, ``MODIFIED``, ``DELETED``; any other only says how late it is."""
        kept = self._slim(thing) if kind in ("ADDED", "MODIFIED", "DELETED") else None
        with self._lock:
            self._version = version
            if kept is None or self._is_outdated(_name_of(kept), version):
                return
            if kind == "DELETED":
                self._objects.remove(_name_of(kept))
                self._bury(kept)
            else:
                self._objects.add(kept)

    def put(self, thing: Json) -> None:
        """Take what a request has answered; if more is known of it already, also that it is gone, nothing changes."""
        kept = self._slim(thing)
        if kept is None:
            return
        version = _version_of(kept)
        with self._lock:
            known = self._objects.by_name.get(_name_of(kept))
            if not _is_newer(version, self._version) or (known and not _is_newer(version, _version_of(known))):
                return
            self._objects.add(kept)
            self._put.add(_name_of(kept))

    def _is_outdated(self, name: str, version: str) -> bool:
        """Tell whether a late event is about a state, or an object, that an answer has been newer than."""
        known = self._objects.by_name.get(name) if name in self._put else None
        return known is not None and not _is_newer(version, _version_of(known))

    def _bury(self, thing: Json) -> None:
        if self._telling(thing):
            self._gone.add(thing)


class _Groups:
    """Objects by name and by what they belong to."""

    def __init__(self, group: Callable[[Json], str], most: int | None) -> None:
        self._group = group
        self._most = most
        self._groups: dict[str, dict[str, Json]] = {}
        self.by_name: dict[str, Json] = {}

    def of(self, group: str) -> list[Json]:
        return list(self._groups.get(group, {}).values())

    def clear(self) -> None:
        self._groups.clear()
        self.by_name.clear()

    def add(self, thing: Json) -> None:
        name = _name_of(thing)
        self.remove(name)
        self.by_name[name] = thing
        self._groups.setdefault(self._group(thing), {})[name] = thing
        if self._most is not None and len(self.by_name) > self._most:
            self.remove(next(iter(self.by_name)))

    def remove(self, name: str) -> None:
        thing = self.by_name.pop(name, None)
        if thing is not None:
            group = self._group(thing)
            del self._groups[group][name]
            if not self._groups[group]:
                del self._groups[group]


def _name_of(thing: Json) -> str:
    return str((thing.get("metadata") or {}).get("name") or "")


def _version_of(thing: Json) -> str:
    return str((thing.get("metadata") or {}).get("resourceVersion") or "")


def _is_newer(version: str, than: str) -> bool:
    """Compare versions as numbers, as Kubernetes allows; what is no number is newer than anything."""
    if not (version.isdecimal() and than.isdecimal()):
        return True
    return int(version) > int(than)
