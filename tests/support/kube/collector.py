"""Garbage collection: dependents of what is gone, deletion in the foreground, ended Jobs past their TTL."""

from __future__ import annotations

from tests.support.kube import errors
from tests.support.kube.clock import FakeClock
from tests.support.kube.deletion import FOREGROUND, ORPHAN
from tests.support.kube.meta import condition, key_of
from tests.support.kube.recorder import Recorder
from tests.support.kube.resources import JOBS, PODS, ResourceType
from tests.support.kube.store import Change, Entry, Key, Object, Store
from tests.support.kube.timers import Timers
from tests.support.kube.writer import Writer

_EVENTS_S = 300.0


class Collector:
    """Works off objects that are being deleted, or whose owner is gone."""

    def __init__(self, store: Store, writer: Writer, clock: FakeClock, recorder: Recorder) -> None:
        self._store = store
        self._writer = writer
        self._clock = clock
        self._recorder = recorder
        self._dirty: dict[tuple[ResourceType, Key], None] = {}
        self._gone: dict[str, None] = {}
        self._planned: set[str] = set()
        self.timers = Timers(clock)
        self.paused = False
        self.timers.after(_EVENTS_S, self._expire)
        store.listeners.append(self._heard)

    def _heard(self, resource: ResourceType, change: Change) -> None:
        meta = change.new.obj["metadata"]
        if change.type == "DELETED":
            self._gone[meta["uid"]] = None
            for reference in meta.get("ownerReferences") or ():
                owner = self._store.by_uid(reference["uid"])
                if owner is not None and "deletionTimestamp" in owner[1].obj["metadata"]:
                    self._dirty[(owner[0], key_of(owner[1].obj))] = None
        elif "deletionTimestamp" in meta or meta.get("ownerReferences"):
            self._dirty[(resource, key_of(change.new.obj))] = None
        if resource is JOBS and change.type != "DELETED":
            self._plan_ttl(change.new.obj)

    def _expire(self) -> None:
        with self._store.lock:
            self._recorder.expire()
        self.timers.after(_EVENTS_S, self._expire)

    def sync(self) -> bool:
        """Work off what is due; return whether there was anything."""
        if self.paused:
            return False
        did = False
        while (act := self.timers.due()) is not None:
            act()
            did = True
        with self._store.lock:
            gone, self._gone = self._gone, {}
            for uid in gone:
                for resource, entry in self._store.owned(uid):
                    did |= self._dependent(resource, entry)
            dirty, self._dirty = self._dirty, {}
            for resource, key in dirty:
                found = self._store.get(resource, key)
                if found is not None:
                    did |= self._look(resource, found)
        return did

    def _look(self, resource: ResourceType, entry: Entry) -> bool:
        meta = entry.obj["metadata"]
        finalizers = meta.get("finalizers") or ()
        if "deletionTimestamp" in meta:
            if FOREGROUND in finalizers:
                return self._foreground(resource, entry)
            if ORPHAN in finalizers:
                return self._orphan(resource, entry)
            return resource is PODS and self._unscheduled(entry)
        return bool(meta.get("ownerReferences")) and self._dependent(resource, entry)

    def _dependent(self, resource: ResourceType, entry: Entry) -> bool:
        """Delete an object whose owners are all gone; while one of them is being deleted so is it."""
        meta = entry.obj["metadata"]
        if "deletionTimestamp" in meta:
            return False
        living = [owner for one in meta["ownerReferences"] if (owner := self._store.by_uid(one["uid"])) is not None]
        staying = [
            owner
            for _, owner in living
            if not (
                "deletionTimestamp" in owner.obj["metadata"]
                and FOREGROUND in (owner.obj["metadata"].get("finalizers") or ())
            )
        ]
        if staying:
            return False
        self._delete(resource, entry)
        return True

    def _foreground(self, resource: ResourceType, entry: Entry) -> bool:
        blocking = [
            (kind, one)
            for kind, one in self._store.owned(entry.obj["metadata"]["uid"])
            if _blocks(one.obj, entry.obj["metadata"]["uid"])
        ]
        if not blocking:
            self._writer.drop_finalizer(resource, key_of(entry.obj), FOREGROUND)
            return True
        did = False
        for kind, one in blocking:
            did |= self._dependent(kind, one)
        return did

    def _orphan(self, resource: ResourceType, entry: Entry) -> bool:
        uid = entry.obj["metadata"]["uid"]

        def let_go(obj: Object) -> None:
            kept = [one for one in obj["metadata"]["ownerReferences"] if one["uid"] != uid]
            obj["metadata"]["ownerReferences"] = kept
            if not kept:
                del obj["metadata"]["ownerReferences"]

        for kind, one in self._store.owned(uid):
            self._store.edit(kind, key_of(one.obj), let_go)
        self._writer.drop_finalizer(resource, key_of(entry.obj), ORPHAN)
        return True

    def _unscheduled(self, entry: Entry) -> bool:
        """Pods that never had a node have no kubelet to end them."""
        pod = entry.obj
        if pod["spec"].get("nodeName") or pod["status"].get("phase") in ("Succeeded", "Failed"):
            return False
        self._store.edit(PODS, key_of(pod), lambda obj: obj["status"].update(phase="Failed"))
        try:
            self._writer.delete(PODS, key_of(pod), {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
        except errors.ApiError:
            return True
        return True

    def _delete(self, resource: ResourceType, entry: Entry) -> None:
        has_own = bool(self._store.owned(entry.obj["metadata"]["uid"]))
        policy = "Foreground" if has_own else "Background"
        self._writer.delete(
            resource,
            key_of(entry.obj),
            {"propagationPolicy": policy, "preconditions": {"uid": entry.obj["metadata"]["uid"]}},
        )

    def _plan_ttl(self, job: Object) -> None:
        ttl, uid = job["spec"].get("ttlSecondsAfterFinished"), job["metadata"]["uid"]
        over = condition(job, "Complete") or condition(job, "Failed")
        if ttl is None or over is None or uid in self._planned:
            return
        self._planned.add(uid)
        due = self._clock.seconds_of(over["lastTransitionTime"]) + ttl
        self.timers.after(due - self._clock(), lambda: self._ttl(key_of(job), uid))

    def _ttl(self, key: Key, uid: str) -> None:
        self._planned.discard(uid)
        with self._store.lock:
            entry = self._store.get(JOBS, key)
            if entry is None or entry.obj["metadata"]["uid"] != uid:
                return
            left = entry.obj["spec"].get("ttlSecondsAfterFinished")
            if left is not None and "deletionTimestamp" not in entry.obj["metadata"]:
                self._writer.delete(JOBS, key, {"propagationPolicy": "Foreground", "preconditions": {"uid": uid}})


def _blocks(obj: Object, owner: str) -> bool:
    references = obj["metadata"].get("ownerReferences") or ()
    return any(one["uid"] == owner and one.get("blockOwnerDeletion") for one in references)
