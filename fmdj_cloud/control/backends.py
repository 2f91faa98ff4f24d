"""What a controller works with: processes of its own machine, or Jobs of a cluster."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fmdj_cloud.control.facemapruns.keeper import FacemapRunKeeper
from fmdj_cloud.control.kube.cache import Cache
from fmdj_cloud.control.kube.client import KubeClient
from fmdj_cloud.control.kube.lease import LeaseElector, lease_name
from fmdj_cloud.control.kube.recorder import EventRecorder
from fmdj_cloud.control.launchers.base import Launcher, LaunchError
from fmdj_cloud.control.launchers.kubernetes.launcher import KubernetesLauncher
from fmdj_cloud.control.launchers.local import LocalLauncher
from fmdj_cloud.control.leader import Elector, new_holder
from fmdj_cloud.control.loop import Keeper
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store

_SYNC_S = 60.0
_COMPONENT = "fmdj-controller"


@dataclass(frozen=True)
class Backend:
    """What runs attempts, and what comes with it.

    Attributes
    ----------
    launcher : Launcher
    elector : Elector or None
        Who elects the leader; None leaves it to the ledger.
    keeper : Keeper or None
    age_s : callable or None
        Returns how old what is known of the launcher is, seconds; None where it is never old.
    stale_s : float
        More than this is too old.
    check : callable
        Raises LauncherLostError once it is.
    """

    launcher: Launcher
    elector: Elector | None = None
    keeper: Keeper | None = None
    age_s: Callable[[], float] | None = None
    stale_s: float = 0.0
    check: Callable[[], None] = lambda: None


@contextlib.contextmanager
def open_backend(settings: Settings, database: Database, store: Store) -> Iterator[Backend]:
    """Open what ``controller.launcher`` names, and close it in the end.

    Parameters
    ----------
    settings : Settings
    database : Database
        The controller's.
    store : Store

    Raises
    ------
    ConfigError
        If it can't be used at all.
    LaunchError
        If Kubernetes doesn't say what there is.
    """
    if settings.controller.launcher == "local":
        yield Backend(LocalLauncher(settings))
        return
    kubernetes = settings.kubernetes
    client = KubeClient(kubernetes)
    cache = Cache(
        client,
        settings.instance,
        facemapruns=True,
        watch_s=kubernetes.watch_s,
        relist_s=kubernetes.relist_s,
        stale_s=kubernetes.stale_s,
    )
    cache.start()
    try:
        if not cache.wait_synced(_SYNC_S):
            raise LaunchError(
                f"Kubernetes hasn't said within {_SYNC_S:.0f} s what Jobs there are: is the API server reachable, and "
                "may this account list Jobs, Pods and Events? `fmdj doctor` tells."
            )
        recorder = EventRecorder(client, _COMPONENT, settings.instance, now=client.now)
        yield Backend(
            launcher=KubernetesLauncher(settings, client, cache, recorder),
            elector=LeaseElector(
                client,
                lease_name(settings.instance),
                new_holder(),
                settings.controller.lease_s,
                time.monotonic,
                now=client.now,
            ),
            keeper=FacemapRunKeeper(settings, Ledger(database), store, client, cache, recorder, time.monotonic),
            age_s=cache.age_s,
            stale_s=kubernetes.stale_s,
            check=cache.check,
        )
    finally:
        cache.stop()
        client.close()


@contextlib.contextmanager
def open_launcher(settings: Settings) -> Iterator[Launcher]:
    """Open what ``controller.launcher`` names for one look at its Jobs.

    Parameters
    ----------
    settings : Settings

    Raises
    ------
    ConfigError
        If it can't be used at all.
    LaunchError
        If Kubernetes doesn't say what there is.
    """
    if settings.controller.launcher == "local":
        yield LocalLauncher(settings)
        return
    client = KubeClient(settings.kubernetes)
    try:
        cache = Cache(client, settings.instance, stale_s=settings.kubernetes.stale_s)
        cache.refresh()
        yield KubernetesLauncher(settings, client, cache)
    finally:
        client.close()
