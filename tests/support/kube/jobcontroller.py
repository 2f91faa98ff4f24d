"""The Job controller: makes pods, counts how they end, says when a Job is over."""

from __future__ import annotations

import copy
from typing import Any

from tests.support.kube import defaults, errors
from tests.support.kube.clock import FakeClock
from tests.support.kube.jobindexes import template_of
from tests.support.kube.jobsync import JobSync
from tests.support.kube.meta import condition, controller_of, key_of
from tests.support.kube.recorder import Recorder
from tests.support.kube.resources import JOBS, PODS, ResourceType
from tests.support.kube.store import Change, Entry, Key, Object, Store
from tests.support.kube.timers import Timers
from tests.support.kube.writer import Writer

_ME = "job-controller"
_BACKOFF_S = 10.0
_BACKOFF_MOST_S = 600.0


class JobController:
    """Works off Jobs that changed, or whose pods did."""

    def __init__(self, store: Store, writer: Writer, clock: FakeClock, recorder: Recorder) -> None:
        self._store = store
        self._writer = writer
        self._clock = clock
        self._recorder = recorder
        self._dirty: dict[Key, None] = {}
        self._orphans: dict[Key, None] = {}
        self._refused: dict[str, tuple[int, float]] = {}
        self.timers = Timers(clock)
        self.paused = False
        store.listeners.append(self._heard)

    def _heard(self, resource: ResourceType, change: Change) -> None:
        if resource is JOBS:
            self._dirty[key_of(change.new.obj)] = None
            if change.type == "DELETED":
                for _, pod in self._store.owned(change.new.obj["metadata"]["uid"], PODS):
                    self._orphans[key_of(pod.obj)] = None
        elif resource is PODS:
            owner = controller_of(change.new.obj)
            if owner is not None and owner["kind"] == "Job":
                self._dirty[Key(change.new.obj["metadata"]["namespace"], owner["name"])] = None
            if defaults.TRACKING in (change.new.obj["metadata"].get("finalizers") or ()):
                self._orphans[key_of(change.new.obj)] = None

    def sync(self) -> bool:
        """Work off what is due; return whether there was anything."""
        if self.paused:
            return False
        did = False
        while (act := self.timers.due()) is not None:
            act()
        with self._store.lock:
            dirty, self._dirty = self._dirty, {}
            orphans, self._orphans = self._orphans, {}
            for key in dirty:
                entry = self._store.get(JOBS, key)
                if entry is not None:
                    did |= self._job(entry)
            for key in orphans:
                did |= self._orphan(key)
        return did

    def _orphan(self, key: Key) -> bool:
        pod = self._store.get(PODS, key)
        if pod is None or defaults.TRACKING not in (pod.obj["metadata"].get("finalizers") or ()):
            return False
        owner = controller_of(pod.obj)
        if owner is not None and self._store.by_uid(owner["uid"]) is not None:
            return False
        self._writer.drop_finalizer(PODS, key, defaults.TRACKING)
        return True

    def _job(self, entry: Entry) -> bool:
        job = entry.obj
        if job["spec"].get("managedBy", "kubernetes.io/job-controller") != "kubernetes.io/job-controller":
            return False
        if condition(job, "Complete") or condition(job, "Failed"):
            return False
        return JobSync(self, entry).run()

    # what one sync needs

    def pods_of(self, uid: str) -> list[Object]:
        """Return pods that a Job controls."""
        return [pod.obj for _, pod in self._store.owned(uid, PODS) if (controller_of(pod.obj) or {}).get("uid") == uid]

    def write(self, key: Key, status: dict[str, Any]) -> bool:
        """Write a Job's status; return whether it changed."""
        before = self._store.get(JOBS, key)
        after = self._store.edit(JOBS, key, lambda job: job.update(status=status), "metadata")
        return before is not after

    def again(self, key: Key, seconds: float) -> None:
        """Look at a Job again later."""
        self.timers.after(seconds, lambda: self._dirty.setdefault(key, None))

    def release(self, pod: Object) -> None:
        """Let go of a pod that is counted."""
        self._writer.drop_finalizer(PODS, key_of(pod), defaults.TRACKING)

    def delete(self, pod: Object, job: Object) -> None:
        """Delete a pod, with its grace."""
        self._writer.delete(PODS, key_of(pod), {"propagationPolicy": "Background"})
        self._say(job, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")

    def _say(self, job: Object, kind: str, reason: str, message: str) -> None:
        self._recorder.record(job, kind, reason, message, component=_ME)

    say = _say

    def now(self) -> str:
        """Return the time as a stamp."""
        return self._clock.stamp()

    def since(self, stamp: str) -> float:
        """Return how long ago a stamp was."""
        return self._clock() - self._clock.seconds_of(stamp)

    def make_pod(self, job: Object, index: int | None = None, failures: int = 0) -> bool:
        """Make a pod (of an index, that has failed so often); False if that was refused, now or just before."""
        if self._refused.get(job["metadata"]["uid"], (0, 0.0))[1] > self._clock():
            return False
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        begins, template = f"{name}-", copy.deepcopy(job["spec"]["template"])
        if index is not None:
            begins, template = template_of(job, index, failures)
        reference = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}
        meta = template.get("metadata") or {}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": begins,
                "labels": meta.get("labels") or {},
                "annotations": meta.get("annotations") or {},
                "finalizers": [*(meta.get("finalizers") or []), defaults.TRACKING],
                "ownerReferences": [{**reference, "controller": True, "blockOwnerDeletion": True}],
            },
            "spec": template["spec"],
        }
        if not body["metadata"]["annotations"]:
            del body["metadata"]["annotations"]
        try:
            pod, _ = self._writer.create(PODS, job["metadata"]["namespace"], body, manager="kube-controller-manager")
        except errors.ApiError as error:
            self._say(job, "Warning", "FailedCreate", f"Error creating: {error.message}")
            tries = self._refused.get(uid, (0, 0.0))[0] + 1
            pause = min(_BACKOFF_S * 2 ** (tries - 1), _BACKOFF_MOST_S)
            self._refused[uid] = (tries, self._clock() + pause)
            self.again(key_of(job), pause)
            return False
        self._refused.pop(uid, None)
        self._say(job, "Normal", "SuccessfulCreate", f"Created pod: {pod.obj['metadata']['name']}")
        return True
