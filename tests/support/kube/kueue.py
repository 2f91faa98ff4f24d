"""Kueue, as much as Jobs see of it: those with a queue's name wait suspended until there is quota."""

from __future__ import annotations

from tests.support.kube.clock import FakeClock
from tests.support.kube.meta import condition, key_of
from tests.support.kube.recorder import Recorder
from tests.support.kube.resources import JOBS, ResourceType
from tests.support.kube.store import Change, Object, Store
from tests.support.kube.timers import Timers

QUEUE = "kueue.x-k8s.io/queue-name"
_ME = "batch/job-kueue-controller"


class Kueue:
    """Lets suspended Jobs go, oldest first, as long as no more than ``slots`` run; 0 is not installed."""

    def __init__(self, store: Store, clock: FakeClock, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder
        self._stale = False
        self.slots = 0
        self.timers = Timers(clock)
        self.paused = False
        store.listeners.append(self._heard)

    def _heard(self, resource: ResourceType, change: Change) -> None:
        if resource is JOBS and QUEUE in (change.new.obj["metadata"].get("labels") or ()):
            self._stale = True

    def sync(self) -> bool:
        """Admit what there is room for; return whether there was anything."""
        if self.paused or not self.slots or not self._stale:
            return False
        with self._store.lock:
            self._stale = False
            queued = [entry.obj for entry in self._store.list(JOBS) if self._is_queued(entry.obj)]
            waiting = [job for job in queued if job["spec"].get("suspend")]
            free = self.slots - (len(queued) - len(waiting))
            waiting.sort(key=lambda job: (job["metadata"]["creationTimestamp"], key_of(job)))
            for job in waiting[: max(free, 0)]:
                self._admit(job)
            return bool(waiting[: max(free, 0)])

    def _is_queued(self, job: Object) -> bool:
        over = condition(job, "Complete") or condition(job, "Failed") or "deletionTimestamp" in job["metadata"]
        return QUEUE in (job["metadata"].get("labels") or ()) and not over

    def _admit(self, job: Object) -> None:
        def resume(obj: Object) -> None:
            obj["spec"]["suspend"] = False
            obj["metadata"]["generation"] += 1

        self._store.edit(JOBS, key_of(job), resume, "spec")
        queue = job["metadata"]["labels"][QUEUE]
        self._recorder.record(job, "Normal", "Started", f"Admitted by clusterQueue {queue}", component=_ME)
