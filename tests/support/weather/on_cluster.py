"""A lab behind proxies whose workers run on the fake cluster, as processes; its API server is behind a proxy too."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fmdj_cloud.settings import DatabaseSettings, S3Settings
from fmdj_cloud.storage import open_store
from tests.support.cluster.kubectl import Kubectl
from tests.support.cluster.lab import ClusterLab, cluster_lab
from tests.support.cluster.processes import Workers
from tests.support.cluster.site import SECRET_ENV, Site, bucket_secret, server_of, through
from tests.support.kills import oracle
from tests.support.kills.world import eventually
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.tools import KUBECTL, tool
from tests.support.weather.lab import StormyLab, ways
from tests.support.weather.proxy import FINE, Mood, Proxy, proxied
from tests.support.weather.schedule import Target

_BEHIND = {429: 1}
"""Seconds after which an answer says to come back."""


class WayToApi:
    """What a proxy is to a server without TLS: answers in the server's place come from the server itself."""

    def __init__(self, proxy: Proxy, cluster: FakeCluster) -> None:
        self._proxy = proxy
        self._cluster = cluster

    @property
    def mood(self) -> Mood:
        """How it treats what passes now."""
        return self._proxy.mood

    @mood.setter
    def mood(self, mood: Mood) -> None:
        self._proxy.mood = mood
        if mood == FINE:
            self._heal()

    def change(self, *, status: int | None = None, matching: str = "", **mood: Any) -> None:
        """Change the mood in some respects; 401 is a token that has run out, until the status is 0."""
        del matching
        if status == 0:
            self._heal()
        elif status == 401:
            self._cluster.expire_token(renewed=False)
        elif status is not None:
            self._cluster.fail(None, status=status, retry_after=_BEHIND.get(status))
        self._proxy.change(**mood)

    def cut(self) -> None:
        """Break every connection there is."""
        self._proxy.cut()

    def _heal(self) -> None:
        self._cluster.heal()
        self._cluster.renew_token()


@dataclasses.dataclass
class StormyCluster(StormyLab, ClusterLab):
    """The lab."""

    to_api: WayToApi = None  # type: ignore[assignment]

    @property
    def ways(self) -> dict[Target, Any]:
        """The proxies by what they lead to."""
        return {**super().ways, Target.API: self.to_api}

    def check_clean(self) -> None:
        """Stop all programs, and see that nothing is left but results."""
        self.eventually(lambda: not self.jobs(), "an end of all Jobs")
        with contextlib.suppress(AssertionError):  # what is left is told below
            eventually(lambda: not oracle.leftovers(self, programs=False), "an end of all leftovers", 8)
        self.stop_programs()
        # The client's copies of a kubeconfig's certificate, which it removes as a program exits; a fork of ours doesn't
        temporary = str(self.folder / "tmp")
        left = [one for one in oracle.leftovers(self) if not one.startswith(temporary)]
        assert not left, f"{left}\n{self.story()}"


@contextlib.contextmanager
def stormy_cluster(database: DatabaseSettings, s3: S3Settings, bucket: str, folder: Path) -> Iterator[StormyCluster]:
    """A lab without tasks, on a cluster of its own.

    Parameters
    ----------
    database : DatabaseSettings
        With a prefix of its own.
    s3 : S3Settings
    bucket : str
        URI.
    folder : Path
        Of programs and workers.
    """
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(FakeCluster("lab", start=dt.datetime.now(dt.UTC), secure=True))
        cluster.go()
        kubeconfig = cluster.kubeconfig(folder / "near.yaml", token_file=folder / "token")
        kubectl = Kubectl(tool(KUBECTL), kubeconfig, "lab")
        to_database, to_store, leading = stack.enter_context(ways(database, s3))
        kubectl.apply(bucket_secret(s3, leading["s3"]["endpoint_url"]))
        to_api, port = stack.enter_context(proxied(server_of(kubeconfig)))
        workers = Workers(cluster, folder, module="fmdj_cloud.worker")
        stack.callback(workers.end)
        site = Site(
            kubectl=kubectl,
            kubeconfig=through(SimpleNamespace(port=port), kubeconfig, folder / "far.yaml"),  # type: ignore[arg-type]
            profile={"image": "registry.lab/fmdj-worker:1", "secret_env": SECRET_ENV},
            s3=s3,
            bucket=bucket.removeprefix("s3://"),
            video=b"",
            patience_s=120,
            grace_s=60,
        )
        made = stack.enter_context(cluster_lab(site, database, folder, f"fmdj-{uuid.uuid4().hex[:6]}"))
        fields = {field.name: getattr(made, field.name) for field in dataclasses.fields(ClusterLab)}
        storage = made.settings.storage.model_copy(update={"s3": s3})
        fields |= {"settings": made.settings.model_copy(update={"storage": storage}), "store": open_store(storage)}
        yield StormyCluster(
            **fields,
            to_database=to_database,
            to_store=to_store,
            to_api=WayToApi(to_api, cluster),
            through=leading,
        )
