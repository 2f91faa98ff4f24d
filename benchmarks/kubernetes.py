"""What the controller asks of a cluster and takes for itself at 2,000 Jobs.

The controller is a process of its own, with real database and object store; the fake API server of the tests and the
pods' work are this process. ``--quick`` takes 200 Jobs: the figures keep their names, and what was measured is told.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from fmdj_cloud.contracts import RunState
from fmdj_cloud.demo.keeper import plain
from fmdj_cloud.demo.servers import embedded_postgres, embedded_s3
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import open_store
from tests.support.kube.behaviour import ContainerStart, Exit
from tests.support.kube_controller.world import KubeWorld, kube_world, premises

JOBS, QUICK_JOBS = 2000, 200
QUIET_S, QUICK_QUIET_S = 90.0, 20.0
PATIENCE_S = 1800.0
BUCKET = "benchmark"


class Figure(NamedTuple):
    """A number, and what it is in words."""

    name: str
    value: float
    words: str


class Work:
    """A container that computes until all are let go, and then publishes."""

    def __init__(self, world: KubeWorld, start: ContainerStart, go: threading.Event) -> None:
        self._world, self._start, self._go = world, start, go

    def poll(self) -> Exit | None:
        """Return how it ended, or None."""
        return self._world.workers.publish(self._start) if self._go.is_set() else None

    def terminate(self) -> None:
        """Be stopped: nothing in this benchmark is."""

    def kill(self) -> None:
        """Likewise."""

    def log(self) -> str:
        """Return what it wrote."""
        return ""


class Child:
    """A controller in a process of its own, which tells of every pass."""

    def __init__(self, world: KubeWorld, folder: Path, number: int) -> None:
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(plain(world.settings)))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FMDJ")}
        self.log = folder / f"controller-{number}.log"
        self.passes: list[dict[str, Any]] = []
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.at_scale.controller"],
                env={**environment, "FMDJ_CONFIG": str(config)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self.passes.append(json.loads(line))

    def wait_for(self, what: str, condition: Callable[[], Any], every_s: float = 0.5) -> Any:
        """Wait until something is so, and return it."""
        give_up = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise SystemExit(
                    f"{what} didn't happen; see the controller's last words:\n{self.log.read_text()[-3000:]}"
                )
            time.sleep(every_s)
        return found

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def opened(folder: Path, jobs: int) -> Iterator[KubeWorld]:
    """A lab with as many tasks, on a fake cluster with room for all of them at a time."""
    for name in ("postgresql", "s3", "cluster"):
        (folder / name).mkdir()
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(embedded_postgres(folder / "postgresql"))
        s3 = stack.enter_context(embedded_s3(folder / "s3", BUCKET))
        settings = Settings(storage={"s3": s3})
        store = open_store(settings.storage)
        lab = stack.enter_context(premises(database, s3, store, f"s3://{BUCKET}"))
        world = stack.enter_context(kube_world(lab, folder / "cluster", max_active=jobs))
        world.settings = world.with_kubernetes(launches_per_s=1000.0, requests_per_s=1000.0, request_burst=1000)
        world.insert_tasks(jobs)
        yield world


def measure(folder: Path, jobs: int, quiet_s: float) -> list[Figure]:
    """Let as many Jobs live, and count."""
    go = threading.Event()
    with opened(folder, jobs) as world:
        world.script(world.workers.does(lasts_s=None, run=lambda start: Work(world, start, go)))
        cluster = world.cluster
        cluster.go()
        child = Child(world, folder, 1)
        child.wait_for("the launch of all", lambda: knows_all(child, jobs))
        launching = cluster.requests.counts()

        cluster.requests.clear()
        told = len(child.passes)
        began = time.monotonic()
        time.sleep(quiet_s)
        steady = len(cluster.requests) / (time.monotonic() - began)
        quiet = child.passes[told:]

        child.kill()
        heir = Child(world, folder, 2)
        first = heir.wait_for("the adoption of all", lambda: knows_all(heir, jobs))
        assert first["launched"] == 0, "it has launched what was there"

        cluster.requests.clear()
        go.set()
        heir.wait_for("the end of all", lambda: count_published(world) == jobs and not world.jobs())
        ending = cluster.requests.counts()
        heir.kill()
        cluster.halt()
    per_job = {
        verb: count / jobs
        for verb, count in (launching + ending).items()
        if verb[0] not in ("list", "watch") and verb[1] != "leases"
    }
    return [
        Figure("requests_per_job", sum(per_job.values()), "requests per successful Job, " + _words(per_job)),
        Figure(
            "requests_per_job_all", (launching + ending).total() / jobs, "likewise, with lists, watches and the Lease"
        ),
        Figure("steady_requests_per_s", steady, f"requests/s while all run, over {quiet_s:.0f} s"),
        Figure("rss_mib", quiet[-1]["rss_mib"], "memory of the controller, MiB"),
        Figure("rss_peak_mib", quiet[-1]["peak_mib"], "at most so far, MiB"),
        Figure("adopt_2000_s", first["wall_s"], "from the Lease to having adopted all after a restart, s"),
        Figure("sync_2000_s", first["synced_s"], "from nothing to knowing all Jobs, pods and Events, s"),
        Figure("pass_s", statistics.median(one["wall_s"] for one in quiet), "a pass while all run, s (median)"),
        Figure("pass_cpu_s", statistics.median(one["cpu_s"] for one in quiet), "likewise, CPU of the whole process, s"),
    ]


def knows_all(child: Child, jobs: int) -> dict[str, Any] | None:
    """Return the first pass that saw all of them run and had nothing more to do."""
    found = (one for one in child.passes if one["leading"] and one["under_way"] == jobs and not one["launched"])
    return next(found, None)


def count_published(world: KubeWorld) -> int:
    """Return how many runs are published."""
    counts = world.ledger.count_runs()
    return sum(number for (_, _, state), number in counts.items() if state is RunState.PUBLISHED)


def _words(per_job: dict[tuple[str, str], float]) -> str:
    return ", ".join(f"{verb} {what} {number:.2f}" for (verb, what), number in sorted(per_job.items()))


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    """Measure, print one table, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kubernetes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_JOBS} Jobs instead of {JOBS}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    told = parser.parse_args()
    jobs = QUICK_JOBS if told.quick else JOBS
    here = machine()
    with tempfile.TemporaryDirectory(prefix="fmdj-benchmark-") as folder:
        figures = measure(Path(folder), jobs, QUICK_QUIET_S if told.quick else QUIET_S)
    print(f"\n{jobs} Jobs on the fake API server; {here}")
    for figure in figures:
        print(f"kubernetes.{figure.name:24}{figure.value:10.3f}  {figure.words}")
    if told.json is not None:
        values = {f"kubernetes.{figure.name}": figure.value for figure in figures}
        told.json.write_text(json.dumps({"machine": {**here, "jobs": jobs}, "figures": values}, indent=1) + "\n")


if __name__ == "__main__":
    main()
