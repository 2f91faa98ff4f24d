"""Looks at all Jobs in the cache, again and again: what hasn't changed isn't diagnosed anew."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from fmdj_cloud.contracts import JobObservation, JobPhase
from fmdj_cloud.control.kube.cache import Cache
from fmdj_cloud.control.launchers.kubernetes.cases import Case
from fmdj_cloud.control.launchers.kubernetes.diagnosis import diagnose_job
from fmdj_cloud.control.launchers.kubernetes.pods import GONE
from fmdj_cloud.control.launchers.kubernetes.sighting import observation, orphans, owned, uid_of
from fmdj_cloud.settings import KubernetesSettings

_AGAIN_S = 15.0
"""What waits is diagnosed so often, also if nothing has happened: patience ends after minutes."""

Thing = Mapping[str, Any]


class _Known(NamedTuple):
    shown: tuple[Thing, ...]
    """Objects that it was seen in: the cache has others once they change."""
    until: float
    seen: JobObservation


class Lookout:
    """Observes Jobs.

    Parameters
    ----------
    cache : Cache
    settings : KubernetesSettings
    instance : str
        Name of the installation.
    namespace : str
    clock : callable
        Monotonic seconds.
    now : callable
        Time of day, in UTC.
    """

    def __init__(
        self,
        cache: Cache,
        settings: KubernetesSettings,
        *,
        instance: str,
        namespace: str,
        clock: Callable[[], float],
        now: Callable[[], dt.datetime],
    ) -> None:
        self._cache = cache
        self._settings = settings
        self._instance = instance
        self._namespace = namespace
        self._clock = clock
        self._now = now
        self._known: dict[str, _Known] = {}
        """By UID of the Job."""

    def all(self, forgotten: Collection[str]) -> dict[str, JobObservation]:
        """Return all Jobs by name, and those of which only pods are left; not those whose UID is in `forgotten`."""
        jobs = {job["metadata"]["name"]: job for job in self._cache.jobs() if uid_of(job) not in forgotten}
        seen = {name: self.one(job) for name, job in jobs.items()}
        for job, pods in self.left():
            if uid_of(job) not in forgotten:
                seen.setdefault(job["metadata"]["name"], self._seen(job, pods, []))
        uids = {job.uid for job in seen.values()}
        self._known = {uid: known for uid, known in self._known.items() if uid in uids}
        return seen

    def left(self) -> list[tuple[dict[str, Any], list[Thing]]]:
        """Return Jobs that are gone though pods of theirs aren't, with those pods."""
        return orphans({job["metadata"]["name"]: job for job in self._cache.jobs()}, self._cache.pods())

    def one(self, job: Thing) -> JobObservation:
        """Return a Job of the cache."""
        name = job["metadata"]["name"]
        return self._seen(job, owned(job, self._cache.pods_of(name)), owned(job, self._cache.gone_pods_of(name)))

    def _seen(self, job: Thing, pods: list[Thing], gone: list[Thing]) -> JobObservation:
        uid = uid_of(job)
        events = [event for thing in (job, *gone, *pods) for event in self._cache.events_of(uid_of(thing))]
        shown = (job, *gone, *pods, *events)
        known = self._known.get(uid)
        if known is not None and known.until > self._clock() and _are_same(known.shown, shown):
            return known.seen
        now = self._now()
        all_pods = [*({**pod, GONE: True} for pod in gone), *pods]
        finding = diagnose_job(job, all_pods, events, now, self._settings)
        seen = observation(job, all_pods, finding, now, instance=self._instance, namespace=self._namespace)
        lasts = finding.phase is JobPhase.ENDED or finding.case is Case.RUNNING
        self._known[uid] = _Known(shown, float("inf") if lasts else self._clock() + _AGAIN_S, seen)
        return seen


def _are_same(one: tuple[Thing, ...], other: tuple[Thing, ...]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
