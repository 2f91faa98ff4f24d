"""The Job controller: makes pods, counts how they end, says when a Job is over."""

from __future__ import annotations

import copy
from typing import Any

from tests.support.kube import defaults, errors
from tests.support.kube.clock import FakeClock
from tests.support.kube.recorder import Recorder
from tests.support.kube.resources import JOBS, PODS, ResourceType
from tests.support.kube.store import Change, Entry, Key, Object, Store
from tests.support.kube.timers import Timers
from tests.support.kube.writer import Writer

_ME = "job-controller"
_BACKOFF_S = 10.0
_BACKOFF_MOST_S = 600.0
_FAILURE = {
    "BackoffLimitExceeded": "Job has reached the specified backoff limit",
    "DeadlineExceeded": "Job was active longer than specified deadline",
}


def key_of(obj: Object) -> Key:
    """Return where an object is."""
    return Key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def condition(obj: Object, kind: str) -> dict[str, Any] | None:
    """Return a condition of an object that is True."""
    for one in (obj.get("status") or {}).get("conditions") or ():
        if one["type"] == kind and one["status"] == "True":
            return one
    return None


def controller_of(obj: Object) -> dict[str, Any] | None:
    """Return the ownerReference of what controls an object."""
    for one in obj["metadata"].get("ownerReferences") or ():
        if one.get("controller"):
            return one
    return None


class JobController:
    """Works off Jobs that changed, or whose pods did."""

    def __init__(self, store: Store, writer: Writer, clock: FakeClock, recorder: Recorder) -> None:
        self._store = store
        self._writer = writer
        self._clock = clock
        self._recorder = recorder
        self._dirty: dict[Key, None] = {}
        self._orphans: dict[Key, None] = {}
        self._refused: dict[str, int] = {}
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
        return _Sync(self, entry).run()

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

    def make_pod(self, job: Object) -> bool:
        """Make a pod; False if that was refused."""
        template = copy.deepcopy(job["spec"]["template"])
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        reference = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}
        meta = template.get("metadata") or {}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": f"{name}-",
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
            pod, _ = self._writer.create(PODS, job["metadata"]["namespace"], body)
        except errors.ApiError as error:
            self._say(job, "Warning", "FailedCreate", f"Error creating: {error.message}")
            tries = self._refused[uid] = self._refused.get(uid, 0) + 1
            self.again(key_of(job), min(_BACKOFF_S * 2 ** (tries - 1), _BACKOFF_MOST_S))
            return False
        self._refused.pop(uid, None)
        self._say(job, "Normal", "SuccessfulCreate", f"Created pod: {pod.obj['metadata']['name']}")
        return True


class _Sync:
    """One look at one Job."""

    def __init__(self, owner: JobController, entry: Entry) -> None:
        self._c = owner
        self._job = {**entry.obj, "status": copy.deepcopy(entry.obj.get("status") or {})}
        self._key = key_of(self._job)
        self._spec = self._job["spec"]
        self._status: dict[str, Any] = self._job["status"]
        self._pods = owner.pods_of(self._job["metadata"]["uid"])
        self._only_failed = self._spec.get("podReplacementPolicy") == "Failed"
        self._deleting = "deletionTimestamp" in self._job["metadata"]

    def run(self) -> bool:
        status, spec, c = self._status, self._spec, self._c
        suspended = bool(spec.get("suspend"))
        if "startTime" not in status and not suspended:
            status["startTime"] = c.now()
            if spec.get("activeDeadlineSeconds") is not None:
                c.again(self._key, spec["activeDeadlineSeconds"])
        new = [pod for pod in self._pods if self._uncounted(pod)]
        good = [pod for pod in new if pod["status"].get("phase") == "Succeeded"]
        bad = [pod for pod in new if pod["status"].get("phase") != "Succeeded"]
        succeeded = status.get("succeeded", 0) + len(good)
        failed = status.get("failed", 0) + len(bad)
        target = self._target(failed, bool(bad), suspended)
        did = False
        if target is None and not self._deleting:
            did = self._manage(succeeded, failed, suspended)
            if not suspended and succeeded >= spec.get("completions", 1) and not self._active():
                message = "Reached expected number of succeeded pods"
                target = ("SuccessCriteriaMet", "CompletionsReached", message)
        elif target is not None:
            for pod in self._active():
                c.delete(pod, self._job)
                did = True
        self._pods = c.pods_of(self._job["metadata"]["uid"])
        if target is not None and condition(self._job, target[0]) is None:
            self._set(target[0], "True", target[1], target[2])
        return self._track(good, bad, succeeded, failed, target) or did

    def _uncounted(self, pod: Object) -> bool:
        if defaults.TRACKING not in (pod["metadata"].get("finalizers") or ()):
            return False
        phase = pod["status"].get("phase")
        if phase in ("Succeeded", "Failed"):
            return True
        return not self._only_failed and "deletionTimestamp" in pod["metadata"]

    def _active(self) -> list[Object]:
        return [
            pod
            for pod in self._pods
            if pod["status"].get("phase") not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]
        ]

    def _terminating(self) -> list[Object]:
        return [
            pod
            for pod in self._pods
            if pod["status"].get("phase") not in ("Succeeded", "Failed") and "deletionTimestamp" in pod["metadata"]
        ]

    def _target(self, failed: int, fresh: bool, suspended: bool) -> tuple[str, str, str] | None:
        for kind in ("FailureTarget", "SuccessCriteriaMet"):
            found = condition(self._job, kind)
            if found is not None:
                return kind, found["reason"], found["message"]
        reason = ""
        if fresh and failed > self._spec["backoffLimit"]:
            reason = "BackoffLimitExceeded"
        deadline = self._spec.get("activeDeadlineSeconds")
        started = self._status.get("startTime")
        if deadline is not None and not suspended and started and self._c.since(started) >= deadline:
            reason = "DeadlineExceeded"
        return ("FailureTarget", reason, _FAILURE[reason]) if reason else None

    def _manage(self, succeeded: int, failed: int, suspended: bool) -> bool:
        c, spec, did = self._c, self._spec, False
        old = next((one for one in self._status.get("conditions") or () if one["type"] == "Suspended"), None)
        if suspended:
            for pod in self._active():
                c.delete(pod, self._job)
                did = True
            if old is None or old["status"] != "True":
                self._set("Suspended", "True", "JobSuspended", "Job suspended")
                self._status.pop("startTime", None)
                c.say(self._job, "Normal", "Suspended", "Job suspended")
            self._pods = c.pods_of(self._job["metadata"]["uid"])
            return did
        if old is not None and old["status"] == "True":
            self._set("Suspended", "False", "JobResumed", "Job resumed")
            self._status["startTime"] = c.now()
            c.say(self._job, "Normal", "Resumed", "Job resumed")
        active = len(self._active()) + (len(self._terminating()) if self._only_failed else 0)
        wanted = min(spec.get("parallelism", 1), max(spec.get("completions", 1) - succeeded, 0))
        if active < wanted and not self._backing_off(failed):
            for _ in range(wanted - active):
                if not c.make_pod(self._job):
                    break
                did = True
        self._pods = c.pods_of(self._job["metadata"]["uid"])
        return did

    def _backing_off(self, failed: int) -> bool:
        """Whether the next pod must wait for the last one's failure to be long enough ago."""
        if not failed:
            return False
        ends = [
            state["finishedAt"]
            for pod in self._pods
            for one in pod["status"].get("containerStatuses") or ()
            if (state := (one.get("state") or {}).get("terminated")) and state.get("finishedAt")
        ]
        if not ends:
            return False
        left = min(_BACKOFF_S * 2 ** (failed - 1), _BACKOFF_MOST_S) - self._c.since(max(ends))
        if left > 0:
            self._c.again(self._key, left)
        return left > 0

    def _track(
        self, good: list[Object], bad: list[Object], succeeded: int, failed: int, target: tuple[str, str, str] | None
    ) -> bool:
        status, c = self._status, self._c
        active = self._active()
        ready = [
            pod
            for pod in active
            if any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or ())
        ]
        _count(status, "active", len(active))
        status["ready"], status["terminating"] = len(ready), len(self._terminating())
        uncounted = {"succeeded": [_uid(pod) for pod in good], "failed": [_uid(pod) for pod in bad]}
        status["uncountedTerminatedPods"] = {name: uids for name, uids in uncounted.items() if uids}
        did = c.write(self._key, copy.deepcopy(status))
        for pod in self._pods:
            if defaults.TRACKING in (pod["metadata"].get("finalizers") or ()) and (
                self._deleting or target is not None or pod in good or pod in bad
            ):
                c.release(pod)
                did = True
        status["uncountedTerminatedPods"] = {}
        _count(status, "succeeded", succeeded)
        _count(status, "failed", failed)
        if target is not None and not self._terminating():
            self._end(target)
        return c.write(self._key, status) or did

    def _end(self, target: tuple[str, str, str]) -> None:
        kind, reason, message = target
        if kind == "FailureTarget":
            self._set("Failed", "True", reason, message)
            self._c.say(self._job, "Warning", reason, message)
        else:
            self._status["completionTime"] = self._c.now()
            self._set("Complete", "True", reason, message)
            self._c.say(self._job, "Normal", "Completed", "Job completed")

    def _set(self, kind: str, value: str, reason: str, message: str) -> None:
        now = self._c.now()
        new = {"type": kind, "status": value, "lastProbeTime": now, "lastTransitionTime": now}
        new |= {"reason": reason, "message": message}
        conditions = [one for one in self._status.get("conditions") or [] if one["type"] != kind]
        self._status["conditions"] = [*conditions, new]


def _uid(pod: Object) -> str:
    return pod["metadata"]["uid"]


def _count(status: dict[str, Any], name: str, value: int) -> None:
    """Set a count; Go leaves out zeros."""
    if value:
        status[name] = value
    else:
        status.pop(name, None)
