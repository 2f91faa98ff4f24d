"""Before an installation is removed from a cluster: nobody leads any more, runs are cancelled, FacemapRuns let go.

Results, outputs and the ledger stay as they are. The order is what makes it safe while the controller still runs: its
Lease is taken from it and kept, its epoch is over in the ledger, and only then is anything cancelled.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fmdj_cloud.contracts import RunRecord, RunState, Wanted
from fmdj_cloud.control.facemapruns.model import FacemapRun, read_object
from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.kube.client import Json, KubeClient
from fmdj_cloud.control.kube.error import KubeError
from fmdj_cloud.control.kube.lease import claimed, lease_name
from fmdj_cloud.control.kube.resources import FACEMAPRUNS, JOBS, LEASES
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.silence import populates
from fmdj_cloud.settings import Settings

_log = logging.getLogger(__name__)
HOLDER = "uninstalled"
WORDS = "The installation was removed: retry it once there is one again."
_KEPT_S = 120
"""The Lease stays ours for so long after the end: by then whoever led before is gone."""
_TRIES = 5
_LOOK_S = 1.0


@dataclass
class Removal:
    """What was done.

    Attributes
    ----------
    cancelled : int
        Runs.
    jobs : int
        Jobs that were deleted.
    facemapruns : int
        FacemapRuns that were let go.
    troubles : list of str
        What is left, and why.
    """

    cancelled: int = 0
    jobs: int = 0
    facemapruns: int = 0
    troubles: list[str] = field(default_factory=list)


class Uninstaller:
    """Winds up an installation.

    Parameters
    ----------
    settings : Settings
    client : KubeClient
    ledger : Ledger or None
        None if the database can't be reached: Jobs and FacemapRuns are seen to all the same.
    clock : callable
        Monotonic seconds.
    sleep : callable
    now : callable
        Time of day, only written down for people.
    """

    def __init__(
        self,
        settings: Settings,
        client: KubeClient,
        ledger: Ledger | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._settings = settings
        self._client = client
        self._ledger = ledger
        self._clock = clock
        self._sleep = sleep
        self._now = now
        self._deleted: set[str] = set()

    def run(self, timeout_s: float) -> Removal:
        """Do all of it.

        Parameters
        ----------
        timeout_s : float
            How long the end of Jobs is waited for, seconds.

        Raises
        ------
        KubeError
            If Kubernetes doesn't answer.
        DatabaseError
            If the database doesn't.
        """
        removal = Removal()
        self._take_lease(removal)
        epoch = None if self._ledger is None else self._ledger.take_over(HOLDER, timeout_s + _KEPT_S)
        self._cancel_waiting(removal, epoch)
        gone = self._delete_jobs(timeout_s, removal)
        self._cancel_launched(removal, epoch, gone)
        self._let_go(removal)
        if self._ledger is not None and epoch is not None:
            self._ledger.resign(HOLDER, epoch)
        return removal

    def _take_lease(self, removal: Removal) -> None:
        """Take the Lease, whoever has it, and keep it: a controller that finds another holder stands by."""
        name = lease_name(self._settings.instance)
        for _ in range(_TRIES):
            try:
                lease = self._lease(name)
                body = claimed(lease, name, HOLDER, _KEPT_S, self._now())
                if lease is None:
                    self._client.create(LEASES, body)
                else:
                    self._client.replace(LEASES, name, body)
                return
            except KubeError as error:
                if not error.is_conflict:
                    raise
        removal.troubles.append(f"The Lease {name} couldn't be taken: the controller may start new Jobs until it ends.")

    def _lease(self, name: str) -> Json | None:
        try:
            return self._client.get(LEASES, name)
        except KubeError as error:
            if error.is_missing:
                return None
            raise

    def _cancel_waiting(self, removal: Removal, epoch: int | None) -> None:
        """Cancel what has no Job, and say of the rest that nobody wants it: a later controller knows then."""
        if self._ledger is None:
            return
        for run in self._ledger.runs({RunState.READY}):
            removal.cancelled += self._ledger.cancel(run.run_id, run.state, run.attempt, sentence=WORDS, epoch=epoch)
        for run in self._launched():
            self._ledger.want(run, Wanted.CANCEL, WORDS)

    def _launched(self) -> list[RunRecord]:
        """Return the runs that have Jobs; what ``populate()`` runs goes on."""
        if self._ledger is None:
            return []
        attempts = self._ledger.current_attempts()
        runs = self._ledger.runs({RunState.LAUNCHED})
        return [run for run in runs if not populates(run, attempts.get(run.run_id))]

    def _delete_jobs(self, timeout_s: float, removal: Removal) -> bool:
        """Delete all Jobs of the installation; return whether they and their pods are gone."""
        give_up = self._clock() + timeout_s
        quiet_since: float | None = None
        while True:
            jobs = self._client.list(JOBS, selector=labels.selector(self._settings.instance)).items
            for job in jobs:
                self._delete(job, removal)
            now = self._clock()
            if jobs:
                quiet_since = None
            elif quiet_since is None:
                quiet_since = now
            # a request that was under way when the Lease was taken may still make a Job
            if quiet_since is not None and now - quiet_since >= self._settings.kubernetes.request_timeout_s:
                return True
            if now >= give_up:
                names = ", ".join(sorted(str(job["metadata"]["name"]) for job in jobs))
                if names:
                    removal.troubles.append(f"After {timeout_s:.0f} s these Jobs are still ending: {names}.")
                return not jobs
            self._sleep(_LOOK_S)

    def _delete(self, job: Json, removal: Removal) -> None:
        metadata = job["metadata"]
        if metadata["uid"] in self._deleted:
            return
        self._deleted.add(metadata["uid"])
        try:
            if not metadata.get("deletionTimestamp"):
                self._client.delete(JOBS, metadata["name"], propagation="Foreground", uid=metadata["uid"])
            removal.jobs += 1
        except KubeError as error:
            if not (error.is_missing or error.is_conflict):
                raise

    def _cancel_launched(self, removal: Removal, epoch: int | None, gone: bool) -> None:
        """Cancel what had Jobs, once these are gone; else the next controller does."""
        if self._ledger is None or not gone:
            return
        for run in self._launched():
            removal.cancelled += self._ledger.cancel(run.run_id, run.state, run.attempt, sentence=WORDS, epoch=epoch)

    def _let_go(self, removal: Removal) -> None:
        """Take our finalizer from all FacemapRuns of the installation, so that they can be deleted."""
        for _ in range(_TRIES):
            mine = [run for run in self._facemapruns() if run.owner == self._settings.instance and run.has_finalizer]
            if not mine:
                return
            for run in mine:
                removal.facemapruns += self._without_finalizer(run)
        removal.troubles.append(
            "Some FacemapRuns are changed again and again: `fmdj uninstall` once more lets them go."
        )

    def _facemapruns(self) -> list[FacemapRun]:
        try:
            things = self._client.list(FACEMAPRUNS).items
        except KubeError as error:
            if error.is_missing:  # the cluster doesn't know the kind
                return []
            raise
        return [run for run in map(read_object, things) if run is not None]

    def _without_finalizer(self, run: FacemapRun) -> bool:
        kept = [name for name in run.finalizers if name != labels.FINALIZER]
        metadata = {"uid": run.uid, "resourceVersion": run.version, "finalizers": kept}
        try:
            self._client.patch(FACEMAPRUNS, run.name, {"metadata": metadata})
        except KubeError as error:
            if error.is_missing or error.is_conflict:  # somebody was quicker: the next look tells
                return False
            raise
        return True
