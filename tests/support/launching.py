"""A launcher on a fake cluster, with what it stands on; time passes only where the test says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import JobObservation, JobRequest, Kind, Limits
from fmdj_cloud.control.kube.cache import Cache
from fmdj_cloud.control.kube.client import KubeClient
from fmdj_cloud.control.kube.recorder import EventRecorder
from fmdj_cloud.control.launchers.kubernetes.launcher import KubernetesLauncher
from fmdj_cloud.names import job_name, sha256_text
from fmdj_cloud.settings import KubernetesSettings, ProfileSettings, Settings
from tests.support.kube.cluster import FakeCluster

LIMITS = Limits(time_budget_s=3600, memory_mib=2048, scratch_mib=2048, threads=2)


class Bench:
    """One controller's launcher, cache and client.

    Attributes
    ----------
    launcher : KubernetesLauncher
    cache : Cache
        Not started: :meth:`look` lists everything.
    client : KubeClient
    """

    def __init__(self, cluster: FakeCluster, folder: Path, *, instance: str = "lab", **kubernetes: Any) -> None:
        self.cluster = cluster
        self.instance = instance
        given: dict[str, Any] = {
            "kubeconfig": cluster.kubeconfig(folder / f"kubeconfig-{instance}-{id(self)}"),
            "profiles": {"default": ProfileSettings(image="registry/fmdj-worker:1")},
            "launches_per_s": 1000,
            "requests_per_s": 1000,
            **kubernetes,
        }
        self.settings = Settings(instance=instance, kubernetes=KubernetesSettings(**given))
        self.client = self.new_client()
        self.cache = self.new_cache(self.client)
        self.launcher = self.new_launcher(self.client, self.cache)

    def new_client(self, **options: Any) -> KubeClient:
        """Return a client for which time doesn't pass while it waits."""
        given = {"clock": self.cluster.clock, "sleep": lambda _: None, **options}
        return KubeClient(self.settings.kubernetes, **given)

    def new_cache(self, client: KubeClient, **options: Any) -> Cache:
        """Return a cache with the settings' times."""
        kubernetes = self.settings.kubernetes
        given = {
            "watch_s": kubernetes.watch_s,
            "relist_s": kubernetes.relist_s,
            "stale_s": kubernetes.stale_s,
            **options,
        }
        return Cache(client, self.instance, clock=self.cluster.clock, **given)

    def new_launcher(self, client: KubeClient, cache: Cache) -> KubernetesLauncher:
        """Return a launcher, as of a controller that was just started."""
        clock = self.cluster.clock
        recorder = EventRecorder(client, "fmdj-controller", self.instance, clock=clock, now=clock.now)
        return KubernetesLauncher(
            self.settings, client, cache, recorder, clock=clock, sleep=lambda _: None, now=clock.now
        )

    def restart(self) -> None:
        """Be another process: nothing is remembered."""
        self.client.close()
        self.client = self.new_client()
        self.cache = self.new_cache(self.client)
        self.launcher = self.new_launcher(self.client, self.cache)

    def look(self) -> dict[str, JobObservation]:
        """Return what is observed, by name, when all that the cluster knows is known."""
        self.cluster.settle()
        self.cache.refresh()
        return {job.name: job for job in self.launcher.observe()}

    def request(self, number: int = 0, *, spec: str = "spec", attempt: int = 1, **more: Any) -> JobRequest:
        """Return a request for an attempt of a run."""
        run_id = f"svd-{number:016x}"
        given = {
            "name": job_name(run_id, attempt, self.instance),
            "run_id": run_id,
            "attempt": attempt,
            "kind": Kind.SVD,
            "spec_uri": f"s3://bucket/{run_id}/a{attempt}/spec.json",
            "spec_sha256": sha256_text(spec),
            "limits": LIMITS,
            "pipeline": "lab",
            "task": '{"id":1}',
            **more,
        }
        return JobRequest(**given)

    def launch(self, number: int = 0, **more: Any) -> JobRequest:
        """Create a Job and return its request."""
        request = self.request(number, **more)
        self.launcher.create(request)
        return request

    def close(self) -> None:
        """End connections."""
        self.cache.stop()
        self.client.close()


@contextmanager
def bench(cluster: FakeCluster, folder: Path, **options: Any) -> Iterator[Bench]:
    """Yield a bench and close it."""
    made = Bench(cluster, folder, **options)
    try:
        yield made
    finally:
        made.close()
