"""What cutting a recording into shards gains, and how little more of it is read.

Pods are processes that have imported and compiled everything before they are timed, each on a core of its own; beside
that they do what a worker does, from the spec to the commit, on files in a folder. One shard on one core and two on
two are measured in turn. ``--quick`` takes a fifth of the frames, once.
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
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fmdj_cloud.contracts import RunSpec, Stage, SvdParams
from fmdj_cloud.demo.recordings import RecordingSpec, generate
from tests.support.shards.pods import Lab
from tests.support.shards.same import assert_same_svd

FRAMES, QUICK_FRAMES = 20_000, 4_000
REPEATS, QUICK_REPEATS = 3, 1
WIDTH, HEIGHT, SBIN = 640, 480, 4
PODS = 8
"""Of the figure of bytes."""
_WARM_FRAMES = 1100


class Cost(NamedTuple):
    """What something took, seconds."""

    wall: float
    cpu: float


class Node:
    """A process that does what pods do, on one core.

    Parameters
    ----------
    folder : Path
        Of the lab.
    name : str
    core : int
    """

    def __init__(self, folder: Path, name: str, core: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.shards", "--node", str(folder), name, str(core)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, spec: RunSpec, stage: Stage, index: int | None = None) -> None:
        """Let it do a stage."""
        assert self._process.stdin is not None
        order = {"spec": spec.model_dump(mode="json"), "stage": stage.value, "index": index}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def wait(self) -> Cost:
        """Wait until it is done."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a pod failed with exit code {self._process.wait()}: see above")
        return Cost(*json.loads(line))

    def do(self, spec: RunSpec, stage: Stage, index: int | None = None) -> Cost:
        """Let it do a stage, and wait."""
        self.start(spec, stage, index)
        return self.wait()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def be_node(folder: Path, name: str, core: int) -> None:
    """Do what comes on the standard input, one line each."""
    os.sched_setaffinity(0, {core})
    lab = Lab(folder / name, [folder])
    for line in sys.stdin:
        order = json.loads(line)
        cpu, began = time.process_time(), time.perf_counter()
        lab.do(RunSpec.model_validate(order["spec"]), Stage(order["stage"]), order["index"])
        print(json.dumps([time.perf_counter() - began, time.process_time() - cpu]), flush=True)


@contextlib.contextmanager
def nodes(folder: Path) -> Iterator[tuple[Node, Node]]:
    """Two of them, on different cores."""
    first, second, *_ = sorted(os.sched_getaffinity(0)) * 2
    made = Node(folder, "node-0", first), Node(folder, "node-1", second)
    try:
        yield made
    finally:
        for node in made:
            node.close()


def measure(folder: Path, frames: int, repeats: int) -> tuple[dict[str, float], list[str]]:
    """Return the figures, and what else is worth telling."""
    lab = Lab(folder / "out", [folder])
    warm = generate(RecordingSpec("warm", WIDTH, HEIGHT, (_WARM_FRAMES,)), folder)
    recording = generate(RecordingSpec("long", WIDTH, HEIGHT, (frames,)), folder)
    size = recording.videos[0][0].stat().st_size

    def spec(videos: Sequence[Sequence[Path]], shards: int) -> RunSpec:
        return lab.spec(videos, svd=SvdParams(sbin=SBIN), shards=shards)

    costs: dict[str, list[Cost]] = {}

    def note(name: str, cost: Cost) -> Cost:
        costs.setdefault(name, []).append(cost)
        return cost

    with nodes(folder) as (one, other):
        for node in (one, other):
            run = spec(warm.videos, 1)
            for stage, index in ((Stage.BASIS, None), (Stage.PROJECT, 0), (Stage.MERGE, None)):
                node.do(run, stage, index)
        alone, both = [], []
        for _ in range(repeats):
            single, double = spec(recording.videos, 1), spec(recording.videos, 2)
            note("basis", one.do(single, Stage.BASIS))
            project = note("project of 1", one.do(single, Stage.PROJECT, 0))
            merge = note("merge of 1", one.do(single, Stage.MERGE))
            alone.append(project.wall + merge.wall)

            note("basis", one.do(double, Stage.BASIS))
            began = time.perf_counter()
            for index, node in enumerate((one, other)):
                node.start(double, Stage.PROJECT, index)
            for node in (one, other):
                note("project of 2", node.wait())
            note("merge of 2", one.do(double, Stage.MERGE))
            both.append(time.perf_counter() - began)
        assert_same_svd(lab, single, double)
        many = spec(recording.videos, PODS)
        one.do(many, Stage.BASIS)
        for index in range(PODS):
            one.do(many, Stage.PROJECT, index)
    read = [lab.part(many, index).bytes_read for index in range(len(lab.basis(many).shards))]
    figures = {
        "speedup_2": statistics.median(alone) / statistics.median(both),
        "bytes_ratio": sum(read) / size,
        "basis_bytes_ratio": lab.basis(many).bytes_read / size,
        "alone_s": statistics.median(alone),
        "two_s": statistics.median(both),
    }
    words = []
    for name, seen in costs.items():
        wall, cpu = statistics.median(cost.wall for cost in seen), statistics.median(cost.cpu for cost in seen)
        key = name.replace(" of ", "_")
        figures |= {f"{key}_wall_s": wall, f"{key}_cpu_s": cpu}
        words.append(f"{name:14} {wall:8.2f} s wall {cpu:8.2f} s CPU")
    words.append(f"{len(read)} pods read {sum(read):,} of {size:,} bytes; both ways of computing are identical")
    return figures, words


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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shards", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_FRAMES} frames, once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--node", nargs=3, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.node:
        be_node(Path(told.node[0]), told.node[1], int(told.node[2]))
        return
    frames, repeats = (QUICK_FRAMES, QUICK_REPEATS) if told.quick else (FRAMES, REPEATS)
    here = machine()
    with tempfile.TemporaryDirectory(prefix="fmdj-benchmark-") as folder:
        figures, words = measure(Path(folder), frames, repeats)
    print(f"\n{frames} frames of {WIDTH}x{HEIGHT}, sbin {SBIN}; {here}")
    for line in words:
        print(line)
    for name, value in figures.items():
        print(f"shards.{name:24}{value:10.3f}")
    if told.json is not None:
        values = {f"shards.{name}": value for name, value in figures.items()}
        told.json.write_text(json.dumps({"machine": {**here, "frames": frames}, "figures": values}, indent=1) + "\n")


if __name__ == "__main__":
    main()
