"""Events, as the parts of Kubernetes write them: old style by the kubelet and controllers, new by the scheduler."""

from __future__ import annotations

from typing import Any

from tests.support.kube.clock import FakeClock
from tests.support.kube.resources import EVENTS
from tests.support.kube.store import Key, Object, Store

KEPT_S = 3600.0
"""How long the API server keeps Events."""


class Recorder:
    """Writes Events; the same one again is counted in the Event that is there."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[tuple[str, ...], Key] = {}
        self._number = 0
        self._uids = 0

    def record(
        self, obj: Object, kind: str, reason: str, message: str, *, component: str, host: str = "", action: str = ""
    ) -> None:
        """Write an Event about an object; with an ``action`` it is new style."""
        meta = obj["metadata"]
        same = (meta["uid"], kind, reason, message, component)
        known = self._known.get(same)
        if known is not None and self._store.get(EVENTS, known) is not None:
            self._store.edit(EVENTS, known, lambda event: self._again(event))
            return
        self._number += 1
        suffix = f"{0x17C0000000000000 + self._number * 0x10001:x}"
        namespace = meta.get("namespace") or "default"
        key = Key(namespace, f"{meta['name'][:230]}.{suffix}")
        now = self._clock.stamp()
        reference = {
            "kind": obj["kind"],
            "namespace": meta.get("namespace"),
            "name": meta["name"],
            "uid": meta["uid"],
            "apiVersion": obj["apiVersion"],
            "resourceVersion": meta["resourceVersion"],
        }
        event: dict[str, Any] = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {
                "name": key.name,
                "namespace": namespace,
                "uid": f"e0000000-0000-4000-8000-{self._number:012x}",
                "creationTimestamp": now,
            },
            "involvedObject": {name: value for name, value in reference.items() if value},
            "reason": reason,
            "message": message,
            "type": kind,
        }
        if action:
            event |= {
                "source": {},
                "firstTimestamp": None,
                "lastTimestamp": None,
                "eventTime": self._clock.micro(),
                "action": action,
                "reportingComponent": component,
                "reportingInstance": f"{component}-{host or 'control-plane'}",
            }
        else:
            event |= {
                "source": {"component": component, **({"host": host} if host else {})},
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "eventTime": None,
                "reportingComponent": component,
                "reportingInstance": host,
            }
        self._store.put(EVENTS, event)
        self._known[same] = key

    def _again(self, event: Object) -> None:
        if event.get("eventTime"):
            series = event.get("series") or {"count": 1}
            event["series"] = {"count": series["count"] + 1, "lastObservedTime": self._clock.micro()}
        else:
            event["count"] = event.get("count", 1) + 1
            event["lastTimestamp"] = self._clock.stamp()

    def expire(self) -> bool:
        """Remove Events that are too old; return whether there were any."""
        limit = self._clock() - KEPT_S
        old = []
        for entry in self._store.table(EVENTS).entries.values():
            meta = entry.obj["metadata"]
            stamp = entry.obj.get("lastTimestamp") or meta["creationTimestamp"]
            if self._clock.seconds_of(stamp) >= limit:
                continue
            old.append(Key(meta["namespace"], meta["name"]))
        for key in old:
            self._store.remove(EVENTS, key)
        return bool(old)
