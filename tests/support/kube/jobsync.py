"""One look of the Job controller at one Job: what its pods say, and what follows."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tests.support.kube import defaults, podfailurepolicy
from tests.support.kube.jobindexes import Indexes, is_indexed, write_indexes
from tests.support.kube.meta import condition, key_of
from tests.support.kube.store import Entry, Object

if TYPE_CHECKING:
    from tests.support.kube.jobcontroller import JobController

_BACKOFF_S = 10.0
_BACKOFF_MOST_S = 600.0
_FAILURE = {
    "BackoffLimitExceeded": "Job has reached the specified backoff limit",
    "DeadlineExceeded": "Job was active longer than specified deadline",
}


class JobSync:
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
        self._indexes = Indexes(self._job, self._pods) if is_indexed(self._job) else None

    def run(self) -> bool:
        status, spec, c = self._status, self._spec, self._c
        suspended = bool(spec.get("suspend"))
        if "startTime" not in status and not suspended:
            status["startTime"] = c.now()
            if spec.get("activeDeadlineSeconds") is not None:
                c.again(self._key, spec["activeDeadlineSeconds"])
        kept = self._indexes.kept if self._indexes is not None else set()
        new = [pod for pod in self._pods if self._uncounted(pod)]
        good = [pod for pod in new if pod["status"].get("phase") == "Succeeded"]
        bad = [pod for pod in new if pod["status"].get("phase") != "Succeeded"]
        succeeded = status.get("succeeded", 0) + len(good)
        if self._indexes is not None:
            succeeded = len(self._indexes.done)
        failed = status.get("failed", 0) + len(bad)
        target = self._target(failed, bool(bad), suspended)
        did = False
        if target is None and not self._deleting:
            did = self._manage(succeeded, failed, suspended)
            if (
                self._indexes is None
                and not suspended
                and succeeded >= spec.get("completions", 1)
                and not self._active()
            ):
                message = "Reached expected number of succeeded pods"
                target = ("SuccessCriteriaMet", "CompletionsReached", message)
        elif target is not None:
            kept = set()
            for pod in self._active():
                c.delete(pod, self._job)
                did = True
        self._pods = c.pods_of(self._job["metadata"]["uid"])
        if target is not None and condition(self._job, target[0]) is None:
            self._set(target[0], "True", target[1], target[2])
        bad = [pod for pod in bad if _uid(pod) not in kept]
        failed = status.get("failed", 0) + len(bad)
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
        by_policy = podfailurepolicy.failure(self._job, self._pods) if fresh else None
        if by_policy is not None:
            return "FailureTarget", "PodFailurePolicy", by_policy
        by_index = self._indexes.target() if self._indexes is not None else None
        if by_index is not None:
            return by_index
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
        if self._indexes is not None:
            return self._manage_indexes(self._indexes, active)
        wanted = min(spec.get("parallelism", 1), max(spec.get("completions", 1) - succeeded, 0))
        if active < wanted and not self._backing_off(failed):
            for _ in range(wanted - active):
                if not c.make_pod(self._job):
                    break
                did = True
        self._pods = c.pods_of(self._job["metadata"]["uid"])
        return did

    def _manage_indexes(self, indexes: Indexes, active: int) -> bool:
        did, free = False, self._spec.get("parallelism", 1) - active
        for index, failures, wait_s in indexes.missing(self._c.since):
            if wait_s > 0:
                self._c.again(self._key, wait_s)
            elif free > 0 and self._c.make_pod(self._job, index, failures):
                did, free = True, free - 1
        self._pods = self._c.pods_of(self._job["metadata"]["uid"])
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
        if self._indexes is not None:
            _word(status, "completedIndexes", write_indexes(self._indexes.done))
            if self._spec.get("backoffLimitPerIndex") is not None:
                status["failedIndexes"] = write_indexes(self._indexes.failed)
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


def _word(status: dict[str, Any], name: str, value: str) -> None:
    """Set words; Go leaves out empty ones."""
    if value:
        status[name] = value
    else:
        status.pop(name, None)


def _count(status: dict[str, Any], name: str, value: int) -> None:
    """Set a count; Go leaves out zeros."""
    if value:
        status[name] = value
    else:
        status.pop(name, None)
