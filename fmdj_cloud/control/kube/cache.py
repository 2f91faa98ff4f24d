"""What exists in the cluster, as far as it is ours: one list and one watch per kind, whatever the number of objects."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from fmdj_cloud import names
from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.kube.client import KubeClient
from fmdj_cloud.control.kube.reflector import Reflector
from fmdj_cloud.control.kube.resources import EVENTS, FACEMAPRUNS, JOBS, PODS, Resource
from fmdj_cloud.control.kube.slim import Json, slim_any, slim_event, slim_job, slim_pod
from fmdj_cloud.control.kube.store import Store
from fmdj_cloud.control.launchers.base import LauncherLostError, LaunchError

_log = logging.getLogger(__name__)
_EVENTS_MOST = 20_000
_JOB_NAME = ("batch.kubernetes.io/job-name", "job-name")
_STOP_S = 5.0


class Cache:
    """Follows our Jobs and pods, the Events about them, and FacemapRuns, in threads of its own.

    Parameters
    ----------
    client : KubeClient
    instance : str
        Name of the installation: nothing of another one is seen.
    facemapruns : bool
        Whether FacemapRuns are followed.
    clock : callable
        Monotonic seconds.
    watch_s, relist_s, stale_s : float
        As in settings: when a watch ends, when everything is listed anew, and how old an answer may be.
    jitter : callable
        Random number in [0, 1).
    """

    def __init__(
        self,
        client: KubeClient,
        instance: str,
        *,
        facemapruns: bool = False,
        clock: Callable[[], float] = time.monotonic,
        watch_s: float = 240.0,
        relist_s: float = 600.0,
        stale_s: float = 600.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._stale_s = stale_s
        self._stores = {
            JOBS: Store(slim_job),
            PODS: Store(slim_pod, group=_job_of, telling=_has_something_to_tell),
            EVENTS: Store(slim_event(_prefix(instance), {"FacemapRun"}), group=_about, most=_EVENTS_MOST),
        }
        if facemapruns:
            self._stores[FACEMAPRUNS] = Store(slim_any)
        ours = labels.selector(instance)
        self._reflectors = {
            resource: Reflector(
                client,
                resource,
                store,
                selector=ours if resource in (JOBS, PODS) else "",
                optional=resource == FACEMAPRUNS,
                clock=clock,
                jitter=jitter,
                watch_s=watch_s,
                relist_s=relist_s,
            )
            for resource, store in self._stores.items()
        }
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to follow."""
        for resource, reflector in self._reflectors.items():
            thread = threading.Thread(
                target=self._follow, args=(reflector,), name=f"cache-{resource.plural}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def refresh(self) -> None:
        """List everything now: for a program that looks once, without :meth:`start`.

        Raises
        ------
        KubeError
            If that didn't work.
        """
        for reflector in self._reflectors.values():
            reflector.refresh()

    def stop(self) -> None:
        """End all threads; what they have seen can still be asked for."""
        self._stopping.set()
        give_up = time.monotonic() + _STOP_S
        for thread in self._threads:
            while thread.is_alive() and time.monotonic() < give_up:
                self._client.interrupt()  # again and again: a watch may just be beginning
                thread.join(0.05)
        self._threads.clear()

    def wait_synced(self, timeout: float) -> bool:
        """Wait until it is known what there is; False if it takes longer than `timeout` seconds."""
        give_up = time.monotonic() + timeout
        return all(
            reflector.synced.wait(max(0.0, give_up - time.monotonic())) for reflector in self._reflectors.values()
        )

    def age_s(self) -> float:
        """Return the seconds since the API server last told us anything about the kind that it neglects most."""
        return max(reflector.age_s() for reflector in self._reflectors.values())

    def check(self) -> None:
        """Make sure that what is known is good to go by.

        Raises
        ------
        LaunchError
            If nothing has been listed yet.
        LauncherLostError
            If it is older than `stale_s`.
        """
        if (age_s := self.age_s()) > self._stale_s:
            raise LauncherLostError(
                f"What is known of Kubernetes is {age_s:.0f} s old, more than kubernetes.stale_s={self._stale_s:g}: "
                "is the API server reachable?"
            )
        unknown = [resource.plural for resource, known in self._reflectors.items() if not known.synced.is_set()]
        if unknown:
            raise LaunchError(f"Kubernetes hasn't been asked yet what {' and '.join(unknown)} there are.")

    def jobs(self) -> list[Json]:
        """Return our Jobs."""
        return self._stores[JOBS].all()

    def job(self, name: str) -> Json | None:
        """Return one of our Jobs."""
        return self._stores[JOBS].get(name)

    def pods(self) -> list[Json]:
        """Return the pods of our Jobs."""
        return self._stores[PODS].all()

    def pods_of(self, job_name: str) -> list[Json]:
        """Return the pods that Jobs of a name have made, newest last."""
        return sorted(self._stores[PODS].group(job_name), key=_created)

    def gone_pods_of(self, job_name: str) -> list[Json]:
        """Return the last states of such pods that don't exist any more and didn't succeed, as far as remembered."""
        return sorted(self._stores[PODS].gone(job_name), key=_created)

    def events_of(self, uid: str) -> list[Json]:
        """Return the Events about an object, newest last."""
        return sorted(self._stores[EVENTS].group(uid), key=_happened)

    def facemapruns(self) -> list[Json]:
        """Return all FacemapRuns of the namespace; none if they aren't followed, or the cluster has no such kind."""
        store = self._stores.get(FACEMAPRUNS)
        return store.all() if store is not None else []

    def put(self, resource: Resource, thing: Json) -> None:
        """Take what a request has just answered, so that it is seen at once.

        Nothing changes if more is known of it already, also that it is gone.
        """
        self._stores[resource].put(thing)

    def _follow(self, reflector: Reflector) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(reflector.turn())


def _prefix(instance: str) -> str:
    """Return how the names of an installation's Jobs begin."""
    return names.job_name("", 1, instance).removesuffix("-a1")


def _job_of(pod: Json) -> str:
    metadata = pod["metadata"]
    found = metadata.get("labels") or {}
    for label in _JOB_NAME:
        if label in found:
            return str(found[label])
    owners = metadata.get("ownerReferences") or []
    return next((str(owner.get("name")) for owner in owners if owner.get("kind") == "Job"), "")


def _has_something_to_tell(pod: Json) -> bool:
    return bool(pod["status"].get("phase") != "Succeeded")


def _about(event: Json) -> str:
    return str(event["involvedObject"].get("uid") or "")


def _created(thing: Json) -> str:
    return str(thing["metadata"].get("creationTimestamp") or "")


def _happened(event: Json) -> str:
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((time for time in times if time), "")) or _created(event)
