"""Pose inference against Facemap's own headless run: same videos, same device, one after the other.

The network is of the size of Facemap's (13 GFLOP a frame), its weights are random: they change what is found, not
how long it takes. Both get the same number of threads. Measured on a GPU only where there is one; what wasn't
measured is absent from the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fmdj_cloud.contracts import Precision
from fmdj_cloud.demo.recordings import RecordingSpec, generate
from fmdj_cloud.worker.index import read_index
from fmdj_cloud.worker.pose.batches import Source
from fmdj_cloud.worker.pose.bounds import Bound
from fmdj_cloud.worker.pose.device import Device, batch_for, choose, frame_bytes, set_precision
from fmdj_cloud.worker.pose.infer import Inference, Keeper
from fmdj_cloud.worker.pose.model import Model, build, facemap_home, facemap_parts, read_model
from fmdj_cloud.worker.pose.network import Finder
from fmdj_cloud.worker.pose.stream import Frames
from fmdj_cloud.worker.pose.window import window

THREADS = min(2, os.cpu_count() or 1)
CHANNELS = (32, 64, 128, 200, 250)
SIZES = {"256": (256, 256), "640": (480, 640)}
MEMORY_MIB = 8192


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
        """Median CPU time."""
        return statistics.median(self.cpu)


def alternate(sides: dict[str, Callable[[], Any]], repeats: int) -> dict[str, Times]:
    """Run every side once to warm up, then all of them in turn."""
    for run in sides.values():
        run()
    times = {name: Times([], []) for name in sides}
    for _ in range(repeats):
        for name, run in sides.items():
            cpu, began = time.process_time(), time.perf_counter()
            run()
            times[name].wall.append(time.perf_counter() - began)
            times[name].cpu.append(time.process_time() - cpu)
    return times


def random_model(folder: Path) -> Model:
    """Return a network of the size of Facemap's."""
    from facemap.pose.facemap_network import FMnet

    torch.manual_seed(0)
    parts = list(facemap_parts())
    net = FMnet(
        img_ch=1, output_ch=len(parts), labels_id=parts, channels=list(CHANNELS), kernel=3, device=torch.device("cpu")
    )
    torch.save(net.state_dict(), folder / "model.pt")
    return read_model(folder / "model.pt", facemap_parts())


def facemap_run(video: Path) -> Any:
    """Run Facemap as its documentation says; it takes the GPU if there is one."""
    from facemap.pose.pose import Pose

    with contextlib.redirect_stdout(io.StringIO()):
        pose = Pose([[str(video)]], bbox=[])
        pose.run()
    return pose


class Ours:
    """Our inference on one file, as the worker does it."""

    def __init__(self, model: Model, device: Device, precision: Precision, video: Path, folder: Path) -> None:
        index = read_index(video)
        self.source = Source(0, 0, video, index, window(index.facts.height, index.facts.width, None))
        pixels = index.facts.height * index.facts.width
        self.batch = batch_for(device, frame_bytes(model.channels, [self.source.window]), pixels, MEMORY_MIB)
        self.finder = Finder(build(model), device, precision)
        self._parts = len(model.body_parts)
        self._device = device
        self._folder = folder

    def run(self) -> np.ndarray:
        """Return the points of all frames."""
        bound = Bound(0, waived=False)
        inference = Inference(self.finder, [self.source], batch_size=self.batch, body_parts=self._parts, bound=bound)
        keeper = Keeper(self._folder, content_digest="c" * 64, device=self._device.name, every_s=60)
        inference.run(keeper, lambda frames: None)
        return inference.traces[0].points(inference.traces[0].frames)

    def decode(self) -> None:
        """Decode alone."""
        for _ in Frames(self.source.path, self.source.index).from_frame(0):
            pass

    def network(self, frames: int) -> None:
        """Compute alone, on frames that are in memory."""
        seen = self.source.window
        gray = np.zeros((self.batch, seen.height, seen.width), np.uint8)
        levels = np.tile(np.array([[0, 255]], np.float32), (self.batch, 1))
        for _ in range(-(-frames // self.batch)):
            self.finder.find(gray, levels, seen)


def measure(device: Device, frames: int, repeats: int, folder: Path, lines: list[str]) -> dict[str, float]:
    """Measure both sizes on a device and return the figures."""
    kind = "gpu" if device.torch.type == "cuda" else "cpu"
    figures: dict[str, float] = {}
    speedups, limits = [], []
    model = random_model(folder)
    facemap_home(folder / "home", model)
    for name, (height, width) in SIZES.items():
        spec = RecordingSpec(name=f"s{name}", width=width, height=height, nframes=(frames,))
        video = generate(spec, folder / name).videos[0][0]
        set_precision(Precision.FP32)
        exact = Ours(model, device, Precision.FP32, video, folder)
        half = Ours(model, device, Precision.BF16, video, folder)
        sides: dict[str, Callable[[], Any]] = {
            "Facemap, batch 1": lambda video=video: facemap_run(video),
            f"ours, fp32, batch {exact.batch}": exact.run,
            f"ours, bf16, batch {half.batch}": half.run,
            "decoding alone": exact.decode,
            f"network alone, fp32, batch {exact.batch}": lambda exact=exact: exact.network(frames),
        }
        times = list(alternate(sides, repeats).items())
        for side, took in times:
            per_cpu = frames / took.cpu_s
            lines.append(f"{height}x{width:<4} {side:36} {frames / took.wall_s:9.1f} {per_cpu:13.2f}")
        facemap, ours, reduced, decoding, network = (took for _, took in times)
        points, rough = exact.run(), half.run()
        moved = np.abs(points[..., :2] - rough[..., :2]).max(-1)
        lines.append(
            f"{height}x{width:<4} bf16 moves points by {np.median(moved):.3f} px (median), {moved.max():.1f} px (most)"
        )
        figures[f"pose.speedup_{kind}_{name}"] = facemap.wall_s / ours.wall_s
        figures[f"pose.speedup_{kind}_{name}_per_cpu_s"] = facemap.cpu_s / ours.cpu_s
        figures[f"pose.speedup_{kind}_{name}_bf16"] = facemap.wall_s / reduced.wall_s
        figures[f"pose.bf16_median_px_{kind}_{name}"] = float(np.median(moved))
        speedups.append(facemap.wall_s / ours.wall_s)
        limits.append(ours.wall_s / max(decoding.wall_s, network.wall_s))
    if kind == "gpu":
        figures["pose.speedup_gpu"] = min(speedups)
    figures[f"pose.over_limit_{kind}"] = max(limits)
    return figures


def main() -> int:
    """Measure, print one table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few frames, one run of each")
    parser.add_argument("--threads", type=int, default=THREADS, metavar="N", help=f"of both sides; {THREADS}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures are written")
    chosen = parser.parse_args()
    gpu = torch.cuda.is_available()
    frames, repeats = (24, 1) if chosen.quick else (1200 if gpu else 48, 3)
    torch.set_num_threads(chosen.threads)
    lines = ["size     what                                  frames/s  per CPU second"]
    # Facemap can't be told to leave a GPU alone, so where there is one, only that is measured
    device = choose(int(gpu), Precision.FP32)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(device, frames, repeats, Path(folder), lines)
    figures["pose.peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if gpu:
        figures["pose.peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated() / (1 << 20)
    print(f"Pose inference, {frames} frames of mjpeg, {device.name}, {chosen.threads} thread(s), median of {repeats}")
    print("\n".join(lines))
    for name, value in figures.items():
        print(f"{name:36} {value:10.3f}")
    print("Not measured: a GPU." if not gpu else "Not measured: the CPU.")
    if chosen.json:
        machine = {"python": platform.python_version(), "torch": torch.__version__, "device": device.name}
        machine |= {"cpus": os.cpu_count(), "threads": chosen.threads}
        chosen.json.write_text(json.dumps({"machine": machine, "figures": figures}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
