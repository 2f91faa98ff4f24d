"""The controller with very many tasks and Jobs: a process of its own, on the tests' fake API server."""

from __future__ import annotations

import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.at_scale.latencies import Latency
from benchmarks.kubernetes import Child, Figure, count_published, knows_all
from fmdj_cloud.contracts import RunSpec
from fmdj_cloud.control.kube.resources import JOBS, PODS
from fmdj_cloud.demo.servers import embedded_mariadb, embedded_postgres, embedded_s3
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import open_store
from tests.support.counting import statements
from tests.support.kube import behaviour as does
from tests.support.kube.cluster import FakeCluster
from tests.support.kube_controller.worker import Workers
from tests.support.kube_controller.world import KubeWorld, kube_world, premises
from tests.support.launching import bench
from tests.support.many_tasks import add_tasks, add_videos

BUCKET = "benchmark"
SERVERS = {"postgres": embedded_postgres, "mariadb": embedded_mariadb}
BURST_S = 5.0
"""As the launcher's: so many seconds' worth of Jobs goes at once."""
ALIVE, THROUGH = 2000, 20_000
LASTS_S = 300.0
"""Simulated: 2,000 places then let 20,000 Jobs through in 50 minutes."""


class QuickWorkers(Workers):
    """Pods whose outputs nobody reads but the controller: their manifests are real."""

    def _signals_of(self, spec: RunSpec) -> bytes:
        return b"nobody opens this"


@contextlib.contextmanager
def world(
    folder: Path, *, max_active: int, speed: float = 1.0, server: str = "postgres", **kubernetes: float
) -> Iterator[KubeWorld]:
    """A lab without tasks on a fake cluster whose answers take as long as recorded."""
    for name in ("database", "s3", "cluster"):
        (folder / name).mkdir()
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(SERVERS[server](folder / "database"))
        s3 = stack.enter_context(embedded_s3(folder / "s3", BUCKET))
        store = open_store(Settings(storage={"s3": s3}).storage)
        lab = stack.enter_context(premises(database, s3, store, f"s3://{BUCKET}"))
        made = stack.enter_context(kube_world(lab, folder / "cluster", max_active=max_active))
        made.workers = QuickWorkers(made.cluster, store)
        defaults = type(made.settings.controller)()
        kept = {"plan_batch": defaults.plan_batch, "reuse": False, "interval_s": defaults.interval_s / speed}
        made.settings = made.with_controller(**kept)
        made.settings = made.with_kubernetes(**kubernetes)
        made.cluster.faults.add(Latency(speed))
        yield made
        made.cluster.halt()


def add(made: KubeWorld, tasks: int) -> None:
    """Insert as many tasks, whose recordings have one and the same video."""
    lab = made.premises
    made.upload({"recording_id": 1})
    add_tasks(lab.database, lab.element, tasks, pending=tasks)
    add_videos(lab.database, lab.element, "rec1/cam.avi")


@contextlib.contextmanager
def child(made: KubeWorld, folder: Path, number: int) -> Iterator[Child]:
    """A controller, killed in the end."""
    one = Child(made, folder, number)
    try:
        yield one
    finally:
        one.kill()


def launched(cluster: FakeCluster) -> list[float]:
    """Return when Jobs were asked for, in the cluster's time."""
    return sorted(request.at for request in cluster.requests.find("create jobs"))


def peak_mib(*children: Child) -> float:
    """Return the most memory that one of them had."""
    return max(one["peak_mib"] for it in children for one in it.passes)


def first_hundred(folder: Path, tasks: int) -> list[Figure]:
    """From all pending to a hundred launched, with the settings as they are by default."""
    with world(folder, max_active=ALIVE) as made:
        add(made, tasks)
        made.script(does.stay())
        made.cluster.go()
        with child(made, folder, 1) as controller:
            began = controller.wait_for("the Lease", lambda: made.cluster.requests.find("create leases"))[0].at
            controller.wait_for("a hundred Jobs", lambda: len(launched(made.cluster)) >= 100, every_s=0.02)
            took = launched(made.cluster)[99] - began
            controller.wait_for("the end of a pass", lambda: controller.passes)
            memory = peak_mib(controller)
    return [
        Figure("first_100_of_100k_s", took, f"from the Lease to 100 Jobs, {tasks} tasks pending, s"),
        Figure("first_controller_mib", memory, "memory of the controller at most, MiB"),
    ]


def fill(folder: Path, jobs: int, rate: float) -> list[Figure]:
    """Launch as many as there is room for, at the rate that is asked for; then restart."""
    asked = {"launches_per_s": rate}
    with world(folder, max_active=jobs, **asked) as made:
        add(made, jobs)
        made.script(does.stay())
        made.cluster.go()
        with child(made, folder, 1) as controller:
            controller.wait_for("the launch of all", lambda: knows_all(controller, jobs))
            times = launched(made.cluster)
            memory = peak_mib(controller)
        with child(made, folder, 2) as heir:
            adopted = heir.wait_for("the adoption of all", lambda: knows_all(heir, jobs))
            memory = max(memory, peak_mib(heir))
    burst = min(jobs - 1, round(BURST_S * rate))
    reached = (jobs - burst) / (times[-1] - times[0])
    name = f"{rate:.0f}"
    return [
        Figure(f"launch_rate_{name}", reached / rate, f"of {name} launches/s asked for, {jobs} Jobs, after the burst"),
        Figure("adopt_2000_s", adopted["wall_s"], f"from the Lease to having adopted {jobs} Jobs, s"),
        Figure(f"fill_{name}_controller_mib", memory, "memory of the controller at most, MiB"),
    ]


def hour(folder: Path, alive: int, through: int, speed: float) -> list[Figure]:
    """Let Jobs through as long as there are tasks: time runs `speed` times as fast for the cluster."""
    rate = 10.0 * speed
    asked = {"launches_per_s": rate, "request_burst": round(4 * rate)}
    with world(folder, max_active=alive, speed=speed, **asked) as made:
        add(made, through)
        made.script(made.workers.does(lasts_s=LASTS_S, run=None, finish=made.workers.publish))
        made.cluster.go(speed)
        most = 0

        def all_through() -> bool:
            nonlocal most
            jobs = len(made.jobs())
            most = max(most, jobs)
            return not jobs and count_published(made) == through

        with child(made, folder, 1) as controller:
            controller.wait_for("the end of all", all_through, every_s=2.0)
            memory = peak_mib(controller)
            passes = [one["wall_s"] for one in controller.passes]
        times = launched(made.cluster)
        took = made.cluster.clock.seconds - times[0]
        counts = made.cluster.requests.counts()
    per_job = sum(n for (verb, what), n in counts.items() if verb not in ("list", "watch") and what != "leases")
    return [
        Figure("hour_s", took, f"{through} Jobs through, {most} alive at most, simulated s (x {speed:g})"),
        Figure("requests_per_job", per_job / through, "requests per successful Job, without lists, watches, Lease"),
        Figure("controller_mib", memory, f"memory of the controller at most, with {through} runs, MiB"),
        Figure("hour_pass_s", statistics.median(passes), "a pass, real s (median)"),
    ]


def questions(folder: Path, tasks: int) -> list[Figure]:
    """Count what the database is asked from a pending task to its Job."""
    quick = {"launches_per_s": 1000.0, "requests_per_s": 1000.0, "request_burst": 1000}
    with world(folder, max_active=tasks, **quick) as made:
        made.script(does.stay())
        program = made.start()
        program.turn()  # what is asked once is asked
        add(made, tasks)
        with statements(program.database) as asked:
            program.controller.run_pass()
    return [Figure("queries_per_run", len(asked) / tasks, "statements to plan and launch one run")]


class Replay:
    """A client that lists what there is, and then tells of events."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.lines: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def watch(self, *_: Any, **__: Any) -> Iterator[Any]:
        """Yield the events, read from their lines as the client does."""
        lines, self.lines = self.lines, []
        yield from map(json.loads, lines)


def events(folder: Path, jobs: int) -> list[Figure]:
    """What one event costs the controller, from its bytes to what is known of its Job."""
    with FakeCluster() as cluster, bench(cluster, folder) as lab:
        cluster.script(None, does.succeed(lasts_s=100_000))
        for number in range(jobs):
            lab.launch(number)
        cluster.advance(60)
        replay = Replay(lab.client)
        cache = lab.new_cache(replay)  # type: ignore[arg-type]
        launcher = lab.new_launcher(lab.client, cache)
        cache.refresh()
        launcher.observe()
        idle = _cpu(launcher.observe)
        costs = []
        for round_ in range(3):
            told = 0
            applied = 0.0
            for resource in (JOBS, PODS):
                things = cluster.list(resource.plural)
                replay.lines = [_line(thing, round_, number) for number, thing in enumerate(things)]
                told += len(replay.lines)
                applied += _cpu(cache._reflectors[resource].turn)
            costs.append((applied + _cpu(launcher.observe) - idle) / told)
    return [
        Figure("event_ms", 1000 * statistics.median(costs), f"CPU of one event with {jobs} Jobs alive, ms"),
        Figure("observe_2000_s", idle, f"looking at all {jobs} Jobs when nothing has happened, CPU s"),
    ]


def _line(thing: dict[str, Any], round_: int, number: int) -> bytes:
    later = str(10_000_000 + 1_000_000 * round_ + number)
    changed = {**thing, "metadata": {**thing["metadata"], "resourceVersion": later}}
    return json.dumps({"type": "MODIFIED", "object": changed}).encode()


def _cpu(do: Callable[[], Any]) -> float:
    began = time.thread_time()
    do()
    return time.thread_time() - began


def in_folder(measure: Callable[..., list[Figure]], *args: Any) -> list[Figure]:
    """Measure in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="fmdj-benchmark-") as folder:
        return measure(Path(folder), *args)
