"""The Kubernetes launcher: one Job per attempt; all that is seen comes from the cache, whatever the number of Jobs.

A Job costs two requests: it is created, and deleted when it is accounted for.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from fmdj_cloud.contracts import JobObservation, JobPhase, JobRequest, Outcome
from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.kube.cache import Cache
from fmdj_cloud.control.kube.client import Json, KubeClient
from fmdj_cloud.control.kube.error import KubeError
from fmdj_cloud.control.kube.recorder import EventRecorder, reference
from fmdj_cloud.control.kube.resources import JOBS
from fmdj_cloud.control.kube.throttle import TokenBucket
from fmdj_cloud.control.launchers.base import LaunchError
from fmdj_cloud.control.launchers.kubernetes.containers import WORKER
from fmdj_cloud.control.launchers.kubernetes.lookout import Lookout
from fmdj_cloud.control.launchers.kubernetes.manifest import build_job
from fmdj_cloud.control.launchers.kubernetes.refusal import refusal
from fmdj_cloud.control.launchers.kubernetes.sighting import (
    is_being_deleted,
    is_ours,
    owned,
    spec_sha256,
    uid_of,
)
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import Settings

_log = logging.getLogger(__name__)
_BURST_S = 5.0
"""After a pause as many Jobs as belong to so many seconds are made at once: planning pauses, and the rate is kept."""
_HOLD_S = 15.0
"""After Jobs of a profile couldn't be made, none is tried for so long: a full quota isn't asked hundreds of times."""


class _Held(NamedTuple):
    until: float
    error: KubeError


class KubernetesLauncher:
    """Runs attempts as Jobs of a cluster.

    Parameters
    ----------
    settings : Settings
    client : KubeClient
    cache : Cache
        Has been started.
    recorder : EventRecorder, optional
        Writes what becomes of runs on their Jobs.
    clock : callable
        Monotonic seconds.
    sleep : callable
    now : callable, optional
        Time of day, in UTC; by default the API server's, since what it is compared with is Kubernetes' own.
    """

    name = "kubernetes"

    def __init__(
        self,
        settings: Settings,
        client: KubeClient,
        cache: Cache,
        recorder: EventRecorder | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], dt.datetime] | None = None,
    ) -> None:
        self._settings = settings
        self._instance = settings.instance
        self._client = client
        self._cache = cache
        self._recorder = recorder
        self._clock = clock
        self._lookout = Lookout(
            cache,
            settings.kubernetes,
            instance=settings.instance,
            namespace=client.namespace,
            clock=clock,
            now=now or client.now,
        )
        rate = settings.kubernetes.launches_per_s
        self._launches = TokenBucket(rate, max(1, round(_BURST_S * rate)), clock=clock, sleep=sleep)
        self._held: dict[str, _Held] = {}
        """Profiles whose Jobs can't be made now."""
        self._given_up: dict[str, JobObservation] = {}
        """How Jobs that were given up are seen once they are gone, by name."""
        self._forgotten: set[str] = set()
        """UIDs of Jobs that were deleted when they were over; they may be seen a moment longer."""

    def create(self, request: JobRequest) -> str:
        """See :meth:`Launcher.create`."""
        body = build_job(request, self._settings, instance=self._instance)
        profile = body["metadata"]["labels"][labels.PROFILE]
        held = self._held.get(profile)
        if held is not None and self._clock() < held.until:
            raise LaunchError(held.error.sentence) from held.error
        self._launches.take()
        try:
            job = self._post(body) or self._replace(request) or self._client.create(JOBS, body)
        except KubeError as error:
            if error.is_conflict:
                raise
            final = refusal(error.status, error.reason, error.message)
            if final is not None:
                raise ConfigError(final.sentence) from error
            self._held[profile] = _Held(self._clock() + _HOLD_S, error)
            raise
        self._held.pop(profile, None)
        self._given_up.pop(request.name, None)
        self._cache.put(JOBS, job)
        return uid_of(job)

    def observe(self) -> tuple[JobObservation, ...]:
        """See :meth:`Launcher.observe`. Nothing is asked of the API server."""
        self._cache.check()
        seen = self._lookout.all(self._forgotten)
        for name, ended in self._given_up.items():
            seen.setdefault(name, ended)
        exist = {uid_of(job) for job in (*self._cache.jobs(), *(job for job, _ in self._lookout.left()))}
        self._forgotten &= exist
        return tuple(seen.values())

    def is_gone(self, name: str) -> bool:
        """See :meth:`Launcher.is_gone`."""
        try:
            self._client.get(JOBS, name)
        except KubeError as error:
            if error.is_missing:
                return True
            raise
        return False

    def stop(self, name: str, why: Outcome | None = None) -> None:
        """See :meth:`Launcher.stop`. The Job goes after its pod, so that it is over when it is gone."""
        job = self._cache.job(name)
        if job is None:
            return
        if why is not None:
            end = {"phase": JobPhase.ENDED, "outcome": why, "give_up": None, "waiting": ""}
            self._given_up[name] = self._lookout.one(job).model_copy(update=end)
        if is_being_deleted(job):
            return
        uid = uid_of(job)
        try:
            if why is not None:
                # for a controller that is started before the Job is gone
                note = {labels.GIVEN_UP: why.model_dump_json()}
                self._cache.put(JOBS, self._client.patch(JOBS, name, {"metadata": {"uid": uid, "annotations": note}}))
            self._delete(name, uid, "Foreground")
        except KubeError as error:
            if not _is_another(error):
                raise

    def forget(self, name: str) -> None:
        """See :meth:`Launcher.forget`."""
        self._given_up.pop(name, None)
        job = self._cache.job(name)
        if job is None:
            left = (found for found, _ in self._lookout.left() if found["metadata"]["name"] == name)
            self._forgotten |= {uid_of(found) for found in left}
            return
        uid = uid_of(job)
        if uid in self._forgotten or self._lookout.one(job).phase is JobPhase.RUNNING:
            return
        try:
            self._delete(name, uid, "Background")
        except KubeError as error:
            if not _is_another(error):
                raise
        self._forgotten.add(uid)

    def tell(self, name: str, what: str, sentence: str) -> None:
        """See :meth:`Launcher.tell`."""
        job = self._cache.job(name)
        if job is None or self._recorder is None:
            return
        self._recorder.record(reference("Job", name, uid_of(job)), "Warning", what, sentence)

    def read_log(self, name: str, nonce: str = "") -> str:
        """See :meth:`Launcher.read_log`."""
        job = self._cache.job(name)
        pods = self._cache.pods_of(name)
        named = [pod for pod in pods if uid_of(pod) == nonce]
        newest = named or (pods if job is None else owned(job, pods))[-1:]
        if not newest:
            return ""
        pod = str(newest[0]["metadata"]["name"])
        try:
            return self._client.log(pod, container=WORKER)
        except KubeError as error:
            if error.status == 0:
                raise
            # it never started, it is gone, or its machine doesn't answer
            _log.info("The log of %s can't be had: %s", pod, error.sentence)
            return ""

    def _post(self, body: Json) -> Json | None:
        """Create a Job; None if one of that name is there."""
        try:
            return self._client.create(JOBS, body)
        except KubeError as error:
            if error.already_exists:
                return None
            raise

    def _replace(self, request: JobRequest) -> Json | None:
        """Return the Job that is there if it is the one that is wanted; None once it is out of the way."""
        job = self._get(request.name)
        if job is None:
            return None
        if not is_ours(job, self._instance):
            other = (job["metadata"].get("labels") or {}).get(labels.INSTANCE)
            raise ConfigError(
                f"The Job {request.name} in namespace {self._client.namespace} isn't this installation's (its label "
                f"{labels.INSTANCE} is {other!r}, not {self._instance!r}): delete it, or give this installation "
                "another name (`instance`)."
            )
        if not is_being_deleted(job):
            if spec_sha256(job) == request.spec_sha256:
                return job
            _log.warning("Job %s has another spec and is replaced", request.name)
            self._delete(request.name, uid_of(job), "Foreground")
            job = self._get(request.name)
            if job is None:
                return None
        self._cache.put(JOBS, job)
        raise LaunchError(f"A former Job {request.name} is still ending; the new one is made once it is gone.")

    def _get(self, name: str) -> Json | None:
        try:
            return self._client.get(JOBS, name)
        except KubeError as error:
            if error.is_missing:
                return None
            raise

    def _delete(self, name: str, uid: str, propagation: str) -> None:
        answer = self._client.delete(JOBS, name, propagation=propagation, uid=uid)
        if answer.get("kind") == "Job":
            self._cache.put(JOBS, answer)


def _is_another(error: KubeError) -> bool:
    """Tell whether the Job that was meant is gone, be it that another has its name now."""
    return error.is_missing or error.is_conflict or (error.status == 422 and "metadata.uid" in error.message)
