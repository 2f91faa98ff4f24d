"""Indexed Jobs: which indexes are done, which have failed, which get a pod next.

As the Job controller of Kubernetes 1.31 to 1.36 has it: an index is done when a pod of it succeeded, has failed when
its failures (counted in an annotation of its pods) are more than ``backoffLimitPerIndex``, or by a FailIndex rule; the
lowest index without a pod comes next; each waits longer after each failure of its own. The last failed pod of an index
is kept, even one that was deleted, until there is another: it holds the count.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from tests.support.kube import podfailurepolicy
from tests.support.kube.store import Object

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
VARIABLE = "JOB_COMPLETION_INDEX"
_BACKOFF_S = 10.0
_BACKOFF_MOST_S = 600.0


class Indexes:
    """The indexes of one Job at one moment.

    Parameters
    ----------
    job : dict
    pods : iterable of dict
        That it controls.
    """

    def __init__(self, job: Object, pods: Iterable[Object]) -> None:
        self._job = job
        self._spec = job["spec"]
        self.completions: int = self._spec["completions"]
        status = job.get("status") or {}
        self.done = set(read_indexes(status.get("completedIndexes") or ""))
        self.failed = set(read_indexes(status.get("failedIndexes") or ""))
        self._taken: set[int] = set()
        self._failures: dict[int, int] = {}
        self._last_end: dict[int, str] = {}
        last: dict[int, str] = {}
        for pod in pods:
            self._note(pod, index_of(pod))
            if pod["status"].get("phase") == "Failed" and not self._is_older(pod):
                last[index_of(pod)] = pod["metadata"]["uid"]
        over = self.done | self.failed | self._taken
        per_index = self._spec.get("backoffLimitPerIndex") is not None
        self.kept = {uid for index, uid in last.items() if index not in over} if per_index else set()
        """UIDs of pods that hold the count of an index."""

    def _note(self, pod: Object, index: int) -> None:
        phase = pod["status"].get("phase")
        if phase == "Succeeded":
            self.done.add(index)
        elif phase != "Failed":
            self._taken.add(index)
        else:
            action = podfailurepolicy.action(self._job, pod)
            failures = int(pod["metadata"]["annotations"].get(FAILURES, "0")) + (action != "Ignore")
            self._failures[index] = max(failures, self._failures.get(index, 0))
            self._last_end[index] = max(_ended_at(pod), self._last_end.get(index, ""))
            limit = self._spec.get("backoffLimitPerIndex")
            if limit is not None and (failures > limit or action == "FailIndex"):
                self.failed.add(index)

    def _is_older(self, pod: Object) -> bool:
        counted = int(pod["metadata"]["annotations"].get(FAILURES, "0"))
        return counted + 1 < self._failures[index_of(pod)]

    def target(self) -> tuple[str, str, str] | None:
        """Return the condition that the Job comes to; None while it goes on."""
        self.failed -= self.done
        most = self._spec.get("maxFailedIndexes")
        if most is not None and len(self.failed) > most:
            words = "Job has exceeded the specified maximal number of failed indexes"
            return "FailureTarget", "MaxFailedIndexesExceeded", words
        if len(self.done) + len(self.failed) < self.completions:
            return None
        if self.failed:
            return "FailureTarget", "FailedIndexes", "Job has failed indexes"
        return "SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods"

    def missing(self, since: Any) -> Iterator[tuple[int, int, float]]:
        """Yield indexes without a pod, their failures so far, and how long each must still wait, in seconds.

        Parameters
        ----------
        since : callable
            Seconds since a stamp.
        """
        for index in range(self.completions):
            if index in self.done or index in self.failed or index in self._taken:
                continue
            failures = self._failures.get(index, 0)
            wait = 0.0
            if failures and self._last_end[index]:
                wait = min(_BACKOFF_S * 2 ** (failures - 1), _BACKOFF_MOST_S) - since(self._last_end[index])
            yield index, failures, max(0.0, wait)


def is_indexed(job: Object) -> bool:
    """Tell whether a Job is one."""
    return job["spec"].get("completionMode") == "Indexed"


def index_of(pod: Object) -> int:
    """Return the index of a pod of an Indexed Job."""
    return int(pod["metadata"]["annotations"][INDEX])


def template_of(job: Object, index: int, failures: int) -> tuple[str, Object]:
    """Return how the name of an index' pod begins, and what it is made from."""
    template = copy.deepcopy(job["spec"]["template"])
    name = f"{job['metadata']['name']}-{index}"
    meta = template.setdefault("metadata", {})
    meta.setdefault("labels", {})[INDEX] = str(index)
    notes = {INDEX: str(index)}
    if job["spec"].get("backoffLimitPerIndex") is not None:
        notes[FAILURES] = str(failures)
    meta["annotations"] = {**(meta.get("annotations") or {}), **notes}
    template["spec"]["hostname"] = name
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    for container in (*template["spec"]["containers"], *(template["spec"].get("initContainers") or ())):
        if not any(one["name"] == VARIABLE for one in container.setdefault("env", [])):
            container["env"].append({"name": VARIABLE, "valueFrom": source})
    return f"{name}-", template


def read_indexes(words: str) -> Iterator[int]:
    """Read ``0,2-4``."""
    for piece in filter(None, words.split(",")):
        first, _, last = piece.partition("-")
        yield from range(int(first), int(last or first) + 1)


def write_indexes(indexes: Iterable[int]) -> str:
    """Write ``0,2-4``; two in a row are ``0,1``, as Kubernetes has it."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    words = ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)
    return words


def _ended_at(pod: Object) -> str:
    ends = [
        state["finishedAt"]
        for one in pod["status"].get("containerStatuses") or ()
        if (state := (one.get("state") or {}).get("terminated")) and state.get("finishedAt")
    ]
    return max(ends, default="")
