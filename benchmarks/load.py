"""Loading against plain inserts and against a raw stream: one recording's components into MariaDB and PostgreSQL.

Insert stage only: the rows of a checked file, in one transaction with its commit. All sides read the same local file.
``insert1`` is what a lab's own ``make`` would do: one component at a time through DataJoint's ``<blob>``. The raw
stream is the same number of bytes, those of the file itself, as values of a two-column table through the server's own
driver, in statements of the same size. The servers are private ones, without waiting for a disk. The scan is what
the controller asks of the database in each pass to find tasks to plan, with 100,000 of them, 10,000 pending.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fmdj_cloud.contracts import Estimate, Kind, Manifest, ManifestFile, Origin, RunRecord, RunState, Wanted
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.demo.servers import embedded_mariadb, embedded_postgres
from fmdj_cloud.load.prepare import Prepared
from fmdj_cloud.load.svd_tables import write_svd
from fmdj_cloud.load.writing import RowWriter
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.pipeline.inserting import largest_statement
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import DatabaseSettings, LoadSettings, PipelineSettings
from fmdj_cloud.signals_h5 import FULL_FRAME, RegionInfo, SignalsReader, SignalsWriter
from tests.support.many_tasks import add_tasks

HEIGHT, WIDTH = 60, 80
COMPONENTS, FRAMES = 500, 100_000
TASKS, PENDING = 100_000, 10_000
SERVERS = {"mariadb": embedded_mariadb, "postgres": embedded_postgres}
MIB = 1 << 20


@dataclass
class Times:
    """Seconds of one side, run by run."""

    wall: list[float]
    cpu: list[float]

    @property
    def wall_s(self) -> float:
        """Median wall time."""
        return statistics.median(self.wall)

    @property
    def cpu_s(self) -> float:
        """Median CPU time of this process; the server's is its own."""
        return statistics.median(self.cpu)


def alternate(sides: dict[str, Callable[[], Any]], after: Callable[[], None], repeats: int) -> dict[str, Times]:
    """Run every side once to warm up, then all of them in turn; what they wrote is removed between, untimed."""
    times = {name: Times([], []) for name in sides}
    for turn in range(repeats + 1):
        for name, run in sides.items():
            cpu, began = time.process_time(), time.perf_counter()
            run()
            took = time.perf_counter() - began, time.process_time() - cpu
            after()
            if turn:
                times[name].wall.append(took[0])
                times[name].cpu.append(took[1])
    return times


def write_file(path: Path, components: int, frames: int) -> None:
    """Write a file with one region, the full frame; components are noise, as real ones are to a compressor."""
    rng = np.random.default_rng(0)
    with SignalsWriter(path, kind=Kind.SVD, run_id="svd-0", nframes=frames, sbin=8, fps=30.0) as writer:
        picture = rng.uniform(0, 255, (HEIGHT, WIDTH))
        writer.summary(picture, picture)
        sides = np.arange(8 * HEIGHT), np.arange(8 * WIDTH), np.arange(HEIGHT), np.arange(WIDTH)
        writer.region(RegionInfo(0, FULL_FRAME, "FullSVD", -1, *sides, Origin.FACEMAP))
        writer.motion(0, rng.uniform(1, 2, frames))
        masks = rng.standard_normal((HEIGHT, WIDTH, components), np.float32)
        projections = rng.standard_normal((frames, components), np.float32)
        writer.components(0, "mot", masks, projections, np.arange(components, 0, -1))


class Bench:
    """A lab with one task on a server, and the ways to fill its tables.

    Parameters
    ----------
    settings : DatabaseSettings
    path : Path
        Of the file.
    """

    def __init__(self, settings: DatabaseSettings, path: Path) -> None:
        self.database = Database(settings)
        tables = declare_lab(self.database, "bench_lab")
        tables.Subject.insert1({"subject": "m1"})
        tables.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": dt.datetime(2026, 1, 15)})
        tables.Device.insert1({"device": "camera"})
        element = declare_element(self.database, "bench_behavior", linking_module=tables)
        self.ledger = Ledger(self.database)
        pipeline = PipelineSettings(
            name="bench", behavior_schema="bench_behavior", video_roots=("file:///nowhere",), processed_root="file:///n"
        )
        self.lab: Lab = open_lab(self.database, self.ledger, pipeline)
        self.key = {"subject": "m1", "session_id": 1, "recording_id": 0, "facemap_task_id": 0}
        element.VideoRecording.insert1({**{name: self.key[name] for name in list(self.key)[:3]}, "device": "camera"})
        element.FacemapTask.insert1({**self.key, "facemap_params": {}, "task_mode": "trigger"})
        self.path = path
        kind = "LONGBLOB" if self.database.backend == "mysql" else "BYTEA"
        self.raw = self.database.quote(settings.ledger_schema, "bench_raw")
        self.database.execute(f"CREATE TABLE {self.raw} (id INT PRIMARY KEY, data {kind} NOT NULL)")

    def ours(self) -> None:
        """Write the rows as the loader does."""
        with SignalsReader(self.path) as signals, self.database.transaction():
            prepared = Prepared(_run(), self.key, _manifest(signals.nframes), signals, None)
            write_svd(self.lab, prepared, RowWriter(self.lab, LoadSettings().slice_mib * MIB))

    def insert1(self) -> None:
        """Write the same components one by one, through DataJoint."""
        element = self.lab.element
        with SignalsReader(self.path) as signals, self.database.connection.transaction:
            manifest = _manifest(signals.nframes)
            row = {**self.key, "processing_time": manifest.finished, "package_version": "1.0.8"}
            element.FacemapProcessing.insert1(row, allow_direct_insert=True)
            element.FacialSignal.insert1(self.key, allow_direct_insert=True)
            region = {**self.key, "roi_no": 0, "roi_name": "FullSVD", "motion": signals.motion(0)}
            element.Region.insert1(region, allow_direct_insert=True)
            values = signals.singular_values(0, "mot")
            assert values is not None
            for start in range(0, signals.n_components(0, "mot"), 8):
                masks, projections = signals.components(0, "mot", start, start + 8)
                for offset, (mask, projection) in enumerate(zip(masks, projections, strict=True)):
                    number = start + offset
                    row = {**self.key, "roi_no": 0, element.component: number, "singular_value": values[number]}
                    element.MotionSVD.insert1(
                        {**row, "motmask": mask, "projection": projection}, allow_direct_insert=True
                    )
            average, motion = signals.summary() or (None, None)
            summary = {**self.key, "sbin": signals.sbin, "avgframe": average, "avgmotion": motion}
            element.Summary.insert1(summary, allow_direct_insert=True)

    def stream(self) -> None:
        """Send the bytes of the file through the driver."""
        piece = min(LoadSettings().slice_mib * MIB, largest_statement(self.database) or 1 << 62)
        connection = self.database.connection
        with self.path.open("rb") as file, self.database.transaction():
            cursor = connection._conn.cursor()
            for number, data in enumerate(iter(lambda: file.read(piece), b"")):
                cursor.execute(f"INSERT INTO {self.raw} (id, data) VALUES (%s, %s)", (number, data))

    def clean(self) -> None:
        """Remove what was written."""
        element = self.lab.element
        for table in (element.Summary, element.MovieSVD, element.MotionSVD, element.Region, element.FacialSignal):
            (table & self.key).delete_quick()
        element.FacemapProcessing.delete_quick()
        self.database.execute(f"DELETE FROM {self.raw}")
        if self.database.backend == "postgresql":  # dead rows are nobody's debt
            self.database.connection.query(f"VACUUM {self.raw}")
            self.database.connection.query(f"VACUUM {element.MotionSVD.full_table_name}")

    def scan(self) -> None:
        """Ask what the controller asks in a pass: pipelines, pending tasks, who else has them in hand."""
        self.ledger.pipelines()
        for tasks, _ in self.lab.pending(100):
            assert tasks.kind is Kind.SVD


def _run() -> RunRecord:
    now = dt.datetime(2026, 11, 1)
    return RunRecord(
        run_id="svd-0123456789abcdef",
        kind=Kind.SVD,
        task_kind=Kind.SVD,
        pipeline="bench",
        task="{}",
        task_digest="0" * 64,
        content_digest="0" * 64,
        param_digest="0" * 64,
        state=RunState.PUBLISHED,
        wanted=Wanted.RUN,
        attempt=1,
        priority=0,
        output_dir="",
        manifest_sha256="0" * 64,
        failure_class=None,
        sentence="",
        not_before=None,
        failures={},
        estimate=Estimate(frames=0, height=0, width=0, seconds=0, memory_mib=0, scratch_mib=0, source="header"),
        created=now,
        updated=now,
    )


def _manifest(frames: int) -> Manifest:
    now = dt.datetime(2026, 11, 1)
    return Manifest(
        run_id="svd-0123456789abcdef",
        attempt=1,
        kind=Kind.SVD,
        nonce="n",
        spec_sha256="0" * 64,
        content_digest="0" * 64,
        files=(ManifestFile(path="n/signals.h5", role="signals", size=1, sha256="0" * 64),),
        nframes=frames,
        views=(),
        versions={"facemap": "1.0.8"},
        device="cpu",
        threads=1,
        timings_s={},
        signals=(),
        started=now,
        finished=now,
    )


@contextlib.contextmanager
def bench(server: str, path: Path) -> Iterator[Bench]:
    """Give a lab on a private server."""
    with tempfile.TemporaryDirectory() as folder, SERVERS[server](Path(folder)) as settings:
        made = Bench(settings, path)
        try:
            yield made
        finally:
            made.database.close()


def peak(server: str, path: Path) -> None:
    """Load once in this process, and print what that took beyond what the program and a tiny load take."""
    with bench(server, path) as made, tempfile.TemporaryDirectory() as folder:
        made.path = Path(folder) / "tiny.h5"
        write_file(made.path, 8, 100)
        made.ours()
        made.clean()
        Path("/proc/self/clear_refs").write_text("5")  # what is resident now is the peak so far
        before = _status("VmRSS")
        made.path = path
        made.ours()
        print(json.dumps({"peak_mib": (_status("VmHWM") - before) / 1024}))


def _status(name: str) -> int:
    """Return a number of kB that the kernel keeps of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


def measured_peak(server: str, path: Path) -> float:
    """Return the MiB that a load takes, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.load", "--peak", server, "--file", str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["peak_mib"])


def measure(servers: list[str], folder: Path, quick: bool, repeats: int) -> dict[str, float]:
    """Measure everything, print the table, and return the figures."""
    figures: dict[str, float] = {}
    path = folder / "signals.h5"
    write_file(path, 64 if quick else COMPONENTS, FRAMES // 10 if quick else FRAMES)
    size = path.stat().st_size / MIB
    tasks, pending = (TASKS // 10, PENDING // 10) if quick else (TASKS, PENDING)
    print(f"signals.h5 of {size:.0f} MiB, medians of {repeats}")
    print(f"{'':10} {'':12} {'wall s':>9} {'CPU s':>9} {'MiB/s':>9}")
    for server in servers:
        with bench(server, path) as made:
            times = alternate({"ours": made.ours, "insert1": made.insert1, "raw": made.stream}, made.clean, repeats)
            for side, took in times.items():
                print(
                    f"{server:10} {side:12} {took.wall_s:9.2f} {took.cpu_s:9.2f} {size / took.wall_s:9.0f}", flush=True
                )
            add_tasks(made.database, made.lab.element, tasks, pending=pending)
            scan = alternate({"scan": made.scan}, lambda: None, max(3, repeats))["scan"]
        print(f"{server:10} {'scan':12} {scan.wall_s:9.2f} {scan.cpu_s:9.2f}", flush=True)
        ours = times["ours"].wall_s
        figures[f"load.over_insert1_{server}"] = times["insert1"].wall_s / ours
        figures[f"load.over_raw_{server}"] = ours / times["raw"].wall_s
        figures[f"load.scan_100k_s_{server}"] = scan.wall_s
        figures[f"load.peak_mib_{server}"] = measured_peak(server, path)
    for name in ("over_raw", "scan_100k_s", "peak_mib"):
        figures[f"load.{name}"] = max(figures[f"load.{name}_{server}"] for server in servers)
    return figures


def main() -> int:
    """Measure, print one table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="64 x 10,000 values and a tenth of the tasks, one run")
    parser.add_argument("--repeats", type=int, default=0, metavar="N", help="runs of each side; 3, or 1 with --quick")
    parser.add_argument("--only", choices=list(SERVERS), action="append", help="measure this server alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures are written")
    parser.add_argument("--peak", choices=list(SERVERS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.peak:
        peak(chosen.peak, chosen.file)
        return 0
    repeats = chosen.repeats or (1 if chosen.quick else 3)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(chosen.only or list(SERVERS), Path(folder), chosen.quick, repeats)
    for name, value in figures.items():
        print(f"{name:36} {value:10.3f}")
    if chosen.json:
        machine = {"python": platform.python_version(), "processor": platform.processor(), "cpus": os.cpu_count()}
        chosen.json.write_text(json.dumps({"machine": machine, "figures": figures}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
