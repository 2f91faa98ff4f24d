"""A controller as its own process would have it: client, cache, elector, connection, all its own."""

from __future__ import annotations

import time
from typing import Any

from fmdj_cloud.control.facemapruns.keeper import FacemapRunKeeper
from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.kube.cache import Cache
from fmdj_cloud.control.kube.client import KubeClient
from fmdj_cloud.control.kube.lease import LeaseElector, lease_name
from fmdj_cloud.control.kube.recorder import EventRecorder
from fmdj_cloud.control.kube.resources import EVENTS
from fmdj_cloud.control.launchers.kubernetes.launcher import KubernetesLauncher
from fmdj_cloud.control.leader import new_holder
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.control.report import PassReport
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.store import Entry

_CATCH_UP_S = 20.0
_KINDS = ("jobs", "pods", "events")


class Program:
    """A controller whose time is the cluster's.

    Attributes
    ----------
    controller : Controller
    cache : Cache
        Follows the cluster by watches, in threads, as the real program's does; every :meth:`turn` waits until it knows
        all that has happened.
    """

    def __init__(self, cluster: FakeCluster, settings: Settings, store: Store) -> None:
        kubernetes, clock = settings.kubernetes, cluster.clock
        self.cluster = cluster
        self.settings = settings
        self.store = store
        self.database = Database(settings.database)
        self.client = KubeClient(kubernetes, clock=clock, sleep=lambda _: None, jitter=lambda: 0.0)
        self.cache = Cache(
            self.client,
            settings.instance,
            facemapruns=False,
            clock=clock,
            watch_s=kubernetes.watch_s,
            relist_s=kubernetes.relist_s,
            stale_s=kubernetes.stale_s,
            jitter=lambda: -0.9,
        )
        recorder = EventRecorder(self.client, "fmdj-controller", settings.instance, clock=clock, now=clock.now)
        self.launcher = KubernetesLauncher(
            settings, self.client, self.cache, recorder, clock=clock, sleep=lambda _: None, now=clock.now
        )
        self.elector = LeaseElector(
            self.client,
            lease_name(settings.instance),
            new_holder(),
            settings.controller.lease_s,
            clock,
            now=clock.now,
        )
        self.controller = self._make(store)
        self._begun = False

    def _make(self, store: Store) -> Controller:
        keeper = FacemapRunKeeper(
            self.settings, Ledger(self.database), store, self.client, self.cache, None, self.cluster.clock
        )
        return Controller(
            self.settings,
            self.database,
            store,
            self.launcher,
            clock=self.cluster.clock,
            elector=self.elector,
            keeper=keeper,
            check=self.cache.check,
        )

    def turn(self) -> PassReport:
        """Look at the cluster as it is now, and run one pass."""
        self.cluster.settle()
        self.catch_up()
        return self.controller.run_pass()

    def catch_up(self) -> None:
        """Wait until the cache knows all that has happened."""
        if not self._begun:
            self._begun = True
            self.cache.start()
        give_up = time.monotonic() + _CATCH_UP_S
        while not self.is_up_to_date():
            assert time.monotonic() < give_up, f"the cache didn't catch up within {_CATCH_UP_S:.0f} s"
            time.sleep(0.002)

    def is_up_to_date(self) -> bool:
        """Tell whether the cache knows all that has happened."""
        if not self.cache.wait_synced(0):
            return False
        cluster, cache = self.cluster, self.cache
        with cluster.store.lock:
            there = {name: cluster.store.list(cluster.registry.named(name), cluster.namespace) for name in _KINDS}
        newest = max((entry.rv for entry in there["events"]), default=0)
        heard = cache._reflectors[EVENTS]._version
        return (
            heard is not None
            and int(heard) >= newest
            and all(
                _versions(known) == _of(self.settings.instance, there[name])
                for name, known in (("jobs", cache.jobs()), ("pods", cache.pods()))
            )
        )

    def close(self) -> None:
        """Be gone without a word: the Lease stays."""
        self.cache.stop()
        self.client.close()
        self.database.close()


def _versions(known: list[dict[str, Any]]) -> dict[str, str]:
    return {thing["metadata"]["name"]: thing["metadata"]["resourceVersion"] for thing in known}


def _of(instance: str, entries: list[Entry]) -> dict[str, str]:
    ours = (entry for entry in entries if (entry.obj["metadata"].get("labels") or {}).get(labels.INSTANCE) == instance)
    return {entry.obj["metadata"]["name"]: str(entry.rv) for entry in ours}
