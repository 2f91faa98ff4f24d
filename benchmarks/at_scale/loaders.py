"""Several loaders against one server: who is the bound."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import yaml

from benchmarks.at_scale.controllers import world
from benchmarks.kubernetes import Figure
from benchmarks.load import HEIGHT, WIDTH, write_file
from fmdj_cloud.contracts import RunSpec, RunState
from fmdj_cloud.demo.keeper import plain
from tests.support.kube_controller.program import Program
from tests.support.kube_controller.worker import Workers
from tests.support.kube_controller.world import KubeWorld

COMPONENTS = 64
SBIN = 8
MIB = 1 << 20
PATIENCE_S = 600.0
_SERVERS = {"postgres": "postgres", "mariadb": "mariadbd"}


class LargeWorkers(Workers):
    """Pods whose outputs are as large as is asked for: one file for all, since loaders don't compare runs."""

    data = b""

    def _signals_of(self, spec: RunSpec) -> bytes:
        return self.data


class Took(NamedTuple):
    """What loading took: runs per second, and cores that server, object store and loaders kept busy."""

    runs_per_s: float
    server: float
    store: float
    loaders: float


def loaders(folder: Path, server: str, runs: int, frames: int, numbers: tuple[int, ...]) -> list[Figure]:
    """Load the same runs with one loader, then with more of them."""
    write_file(folder / "signals.h5", COMPONENTS, frames)
    data = (folder / "signals.h5").read_bytes()
    figures = []
    with world(folder, max_active=runs, server=server, launches_per_s=1000.0, requests_per_s=1000.0) as made:
        made.cluster.heal()
        made.workers = LargeWorkers(made.cluster, made.premises.store)
        made.workers.data = data
        made.workers.size = (frames, SBIN * HEIGHT, SBIN * WIDTH)
        made.insert_tasks(runs, facemap_params={"sbin": SBIN})
        _publish(made, runs)
        for number in numbers:
            took = _load(made, folder, server, runs, number)
            _undo(made)
            words = f"MiB/s of {number} loader(s) into {server}; cores busy: server {took.server:.2f}, "
            words += f"object store {took.store:.2f}, loaders {took.loaders:.2f} of {os.cpu_count()}"
            figures.append(Figure(f"load_mib_s_{server}_{number}", took.runs_per_s * len(data) / MIB, words))
    return figures


def _publish(made: KubeWorld, runs: int) -> None:
    program = made.start(make=Program)
    program.turn()
    for _ in range(100):
        if _count(made, RunState.PUBLISHED) == runs:
            return
        made.cluster.advance(5)
        program.turn()
    raise SystemExit(made.story())


def _load(made: KubeWorld, folder: Path, server: str, runs: int, number: int) -> Took:
    config = folder / "loader.yaml"
    config.write_text(yaml.safe_dump(plain(made.settings) | {"load": {"interval_s": 0.2}, "serve": {"port": 0}}))
    command = [sys.executable, "-m", "fmdj_cloud", "--config", str(config), "loader"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FMDJ")}
    log = (folder / "loaders.log").open("a")
    processes = [
        subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT) for _ in range(number)
    ]
    try:
        # imports outside: counted from the first run on
        first = _wait(made, 1, folder)
        began, before = time.monotonic(), _cpu(server, processes)
        done = _wait(made, runs, folder)
        took = time.monotonic() - began
        busy = [(later - earlier) / took for earlier, later in zip(before, _cpu(server, processes), strict=True)]
        return Took((done - first) / took, *busy)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        log.close()


def _wait(made: KubeWorld, runs: int, folder: Path) -> int:
    give_up = time.monotonic() + PATIENCE_S
    while (done := _count(made, RunState.LOADED)) < runs:
        if time.monotonic() > give_up:
            raise SystemExit((folder / "loaders.log").read_text()[-3000:])
        time.sleep(0.05)
    return done


def _undo(made: KubeWorld) -> None:
    """Delete all results; the runs are published again."""
    lab = made.premises
    element = lab.element
    for table in (element.Summary, element.MovieSVD, element.MotionSVD, element.Region, element.FacialSignal):
        lab.database.execute(f"DELETE FROM {table.full_table_name}")
    schema = lab.database.ledger_schema
    for name in sorted(lab.database.tables(schema)):
        if name.startswith(f"{lab.lab.name}_") and "binding" not in name:
            lab.database.execute(f"DELETE FROM {lab.database.quote(schema, name)}")
    lab.database.execute(f"DELETE FROM {element.FacemapProcessing.full_table_name}")
    lab.database.execute(f"UPDATE {lab.ledger.run_table} SET state = %s", (RunState.PUBLISHED.value,))
    if lab.database.backend == "postgresql":
        lab.database.connection.query(f"VACUUM {element.MotionSVD.full_table_name}")


def _count(made: KubeWorld, state: RunState) -> int:
    return sum(number for (_, _, it), number in made.ledger.count_runs().items() if it is state)


def _cpu(server: str, loaders: list[subprocess.Popen[bytes]]) -> tuple[float, float, float]:
    """Return the CPU time of server, object store and loaders, seconds; of processes that have ended, too."""
    below = psutil.Process().children(recursive=True)
    return (
        _seconds([process for process in below if process.name() == _SERVERS[server]]),
        _seconds([process for process in below if any(word.endswith("s3_server.py") for word in process.cmdline())]),
        _seconds([psutil.Process(process.pid) for process in loaders]),
    )


def _seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:4]) for process in processes)
