"""The turbo engine against Facemap itself and against pure decoding: same videos, same threads, one after the other.

Every run is a process of its own, which first computes a tiny video: imports and compilation stay outside of its
times, and its peak of memory is its own. Sides alternate; times are medians. Facemap gets everything in one call, as
people call it, whatever it gets wrong then. Where there is a GPU, turbo computes every pixel (sbin 1) with it and
without, against Facemap and decoding.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from fmdj_cloud.contracts import Basis, BitMask, Engine, Kind, Limits, Roi, RoiKind, RunSpec, SvdParams, VideoRef
from fmdj_cloud.demo.recordings import Recording, RecordingSpec, generate

THREADS = min(2, os.cpu_count() or 1)
SBIN = 4
COMPONENTS = 500
ROIS = ("whisker", "snout", "pupil", "blink", "running")
FINE = 1
"""Bin of the part with a GPU: of every pixel, arithmetic is most of the work."""
MEMORY_MIB, FINE_MEMORY_MIB = 1536, 16_384
MIB = 1 << 20


@dataclass(frozen=True)
class Asked:
    """What one run is to do."""

    rois: bool = False
    threads: int = THREADS
    sbin: int = SBIN
    gpus: int = 0


@dataclass
class Times:
    """What the runs of one side took."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)

    def add(self, told: dict[str, float]) -> None:
        """Add a run."""
        self.wall.append(told["wall_s"])
        self.cpu.append(told["cpu_s"])
        self.peak_mib.append(told["peak_mib"])

    @property
    def wall_s(self) -> float:
        """Median wall time."""
        return statistics.median(self.wall)

    @property
    def cpu_s(self) -> float:
        """Median CPU time."""
        return statistics.median(self.cpu)

    @property
    def peak(self) -> float:
        """Median peak of memory, MiB."""
        return statistics.median(self.peak_mib)


def to_roi(saved: dict[str, Any]) -> Roi:
    """Return a ROI of the GUI as a spec holds it."""
    kind = RoiKind.from_rind(saved["rind"])
    eye = kind in (RoiKind.PUPIL, RoiKind.BLINK)
    return Roi(
        kind=kind,
        y0=int(saved["yrange"][0]),
        y1=int(saved["yrange"][-1]) + 1,
        x0=int(saved["xrange"][0]),
        x1=int(saved["xrange"][-1]) + 1,
        saturation=float(saved["saturation"]) if eye else None,
        pupil_sigma=float(saved["pupil_sigma"]) if kind is RoiKind.PUPIL else None,
        ellipse=BitMask.from_array(saved["ellipse"]) if eye else None,
    )


def parameters(recording: Recording, asked: Asked) -> SvdParams:
    """Return what is asked for."""
    rois = tuple(to_roi(roi) for roi in recording.rois(*ROIS)) if asked.rois else ()
    return SvdParams(sbin=asked.sbin, rois=rois)


def run_turbo(recording: Recording, asked: Asked, folder: Path) -> None:
    """Compute as the worker's child does."""
    from fmdj_cloud.worker.handover import ChildJob, Desk
    from fmdj_cloud.worker.turbo.child import compute

    desk = Desk(folder)
    desk.outputs.mkdir(parents=True)
    (video,) = recording.videos[0]
    spec = RunSpec(
        run_id="svd-0000000000000001",
        kind=Kind.SVD,
        pipeline="benchmark",
        task="{}",
        task_digest="",
        content_digest="",
        attempt=1,
        attempt_uri="file:///nowhere",
        videos=((VideoRef(uri=f"file://{video}", name=video.name, size=video.stat().st_size),),),
        engine=Engine.TURBO,
        basis=Basis.EXACT,
        svd=parameters(recording, asked),
        limits=Limits(
            time_budget_s=1e6,
            memory_mib=MEMORY_MIB if asked.sbin == SBIN else FINE_MEMORY_MIB,
            scratch_mib=1 << 20,
            threads=asked.threads,
            gpu=asked.gpus,
        ),
    )
    compute(desk, ChildJob(spec=spec, videos=((str(video),),), parent=os.getpid()))


def run_facemap(recording: Recording, asked: Asked, folder: Path) -> None:
    """Compute as Facemap's users do."""
    from facemap import process

    from fmdj_cloud.worker.svd.engine import roi_dict

    folder.mkdir(parents=True)
    found = [roi_dict(roi, number) for number, roi in enumerate(parameters(recording, asked).rois)]
    proc = {"sbin": asked.sbin, "fullSVD": True, "save_mat": False, "rois": found or None}
    proc |= {"sy": np.array([0]), "sx": np.array([0]), "savepath": None}
    with contextlib.redirect_stdout(io.StringIO()):
        process.run([[str(recording.videos[0][0])]], motSVD=True, movSVD=False, proc=proc, savepath=str(folder))


def run_decoding(recording: Recording, asked: Asked, folder: Path) -> None:
    """Decode alone: every frame once, on one thread."""
    with av.open(str(recording.videos[0][0])) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        for _ in container.decode(stream):
            pass


def run_projection(recording: Recording, asked: Asked, folder: Path) -> None:
    """Multiply alone: 500 frames at a time, as many as the recording has."""
    pixels = (recording.spec.height // asked.sbin) * (recording.spec.width // asked.sbin)
    values = np.random.default_rng(0).random((500, pixels), np.float32)
    masks = np.random.default_rng(1).random((pixels, COMPONENTS), np.float32)
    out = np.empty((500, COMPONENTS), np.float32)
    with threadpool_limits(1, user_api="blas"):
        for _ in range(sum(recording.spec.nframes) // 500):
            np.matmul(values, masks, out=out)


SIDES: dict[str, Callable[[Recording, Asked, Path], None]] = {
    "turbo": run_turbo,
    "Facemap": run_facemap,
    "decoding alone": run_decoding,
    "projection alone": run_projection,
}


def one_side(side: str, name: str, asked: Asked, videos: Path) -> None:
    """Run one side once, in this process, and print what it took."""
    cv2.setNumThreads(asked.threads)
    sink = Path(tempfile.mkdtemp(dir=videos))
    try:
        SIDES[side](load(videos, "warm"), asked, sink / "warm")
        recording = load(videos, name)
        cpu, began = time.process_time(), time.perf_counter()
        SIDES[side](recording, asked, sink / "out")
        told = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
    finally:
        shutil.rmtree(sink)
    print(json.dumps({**told, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def measured(side: str, name: str, asked: Asked, videos: Path) -> dict[str, float]:
    """Run one side once, in a process of its own."""
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(asked.threads))}
    command = [sys.executable, "-m", "benchmarks.svd", "--side", side, "--video", name, "--videos", str(videos)]
    command += ["--threads", str(asked.threads), "--sbin", str(asked.sbin), "--gpus", str(asked.gpus)]
    command += ["--rois"] if asked.rois else []
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def specs(quick: bool) -> dict[str, RecordingSpec]:
    """Return the recordings by name."""

    def made(name: str, frames: int, codec: Any = "mjpeg") -> RecordingSpec:
        width, height = (160, 120) if quick and name != "warm" else (320, 240) if quick else (640, 480)
        return RecordingSpec(name, width, height, (frames // 10 if quick else frames,), codec=codec, seed=1)

    return {
        "warm": RecordingSpec("warm", 160, 120, (120,), seed=2),
        "6k": made("6k", 6000),
        "6k_h264": made("6k_h264", 6000, "h264"),
        "20k": made("20k", 20_000),
        "40k": made("40k", 40_000),
    }


def load(videos: Path, name: str) -> Recording:
    """Return a recording that was generated before."""
    with (videos / f"{name}.json").open() as file:
        found = json.load(file)
    spec = RecordingSpec(**{**found["spec"], "nframes": tuple(found["spec"]["nframes"])})
    from fmdj_cloud.demo.truth import load_truth

    return Recording(
        spec=spec,
        videos=((videos / spec.filename(0, 0),),),
        truth=load_truth(videos / f"{spec.name}_truth.npz"),
        boxes={box: tuple(edges) for box, edges in found["boxes"].items()},
    )


def prepare(videos: Path, names: list[str], quick: bool) -> None:
    """Generate what isn't there yet."""
    for name in names:
        if (videos / f"{name}.json").exists():
            continue
        spec = specs(quick)[name]
        recording = generate(spec, videos)
        told = {"spec": vars(spec), "boxes": {box: list(edges) for box, edges in recording.boxes.items()}}
        (videos / f"{name}.json").write_text(json.dumps(told))


def gpus_here() -> int:
    """Return how many GPUs torch can compute on."""
    if importlib.util.find_spec("torch") is None:
        return 0
    import torch

    return int(torch.cuda.device_count())


PARTS = ("full_6k", "full_6k_h264", "rois_6k", "full_20k", "marginal", "gpu")


def measure(videos: Path, parts: list[str], quick: bool, repeats: int, threads: int) -> dict[str, float]:
    """Measure everything, print the table, and return the figures."""
    figures: dict[str, float] = {}

    def sides(title: str, plan: dict[str, tuple[str, str, Asked]]) -> dict[str, Times]:
        times = {label: Times() for label in plan}
        for _ in range(repeats):
            for label, (side, name, asked) in plan.items():
                times[label].add(measured(side, name, asked, videos))
        for label, took in times.items():
            print(f"{title:10} {label:24} {took.wall_s:9.2f} {took.cpu_s:9.2f} {took.peak:9.0f}", flush=True)
        return times

    print(f"{'':10} {'':24} {'wall s':>9} {'CPU s':>9} {'peak MiB':>9}")
    for part, name, rois in (
        ("full_6k", "6k", False),
        ("full_6k_h264", "6k_h264", False),
        ("rois_6k", "6k", True),
        ("full_20k", "20k", False),
    ):
        if part not in parts:
            continue
        prepare(videos, ["warm", name], quick)
        asked = Asked(rois, threads)
        plan = {side: (side, name, asked) for side in ("Facemap", "turbo", "decoding alone")}
        times = sides(part, plan)
        figures[f"svd.speedup_{part}"] = times["Facemap"].wall_s / times["turbo"].wall_s
        figures[f"svd.speedup_{part}_cpu"] = times["Facemap"].cpu_s / times["turbo"].cpu_s
        figures[f"svd.{part}_over_decoding_cpu"] = times["turbo"].cpu_s / times["decoding alone"].cpu_s
        if part == "full_6k":
            figures["svd.memory_ratio"] = times["turbo"].peak / times["Facemap"].peak
    if "marginal" in parts:
        prepare(videos, ["warm", "20k", "40k"], quick)
        asked = Asked(threads=threads)
        plan = {
            "turbo 20k": ("turbo", "20k", asked),
            "turbo 40k": ("turbo", "40k", asked),
            "decoding 20k": ("decoding alone", "20k", asked),
            "projection 20k": ("projection alone", "20k", asked),
        }
        times = sides("marginal", plan)
        limit = times["decoding 20k"].cpu_s + times["projection 20k"].cpu_s
        figures["svd.marginal_over_limit"] = (times["turbo 40k"].cpu_s - times["turbo 20k"].cpu_s) / limit
    if "gpu" in parts and gpus_here():
        prepare(videos, ["warm", "6k"], quick)
        fine = Asked(threads=threads, sbin=FINE)
        plan = {side: (side, "6k", fine) for side in ("Facemap", "turbo", "decoding alone")}
        times = sides("gpu", {**plan, "turbo, GPU": ("turbo", "6k", replace(fine, gpus=1))})
        for side, label in (("Facemap", "facemap"), ("turbo", "cpu")):
            figures[f"svd.gpu_speedup_over_{label}"] = times[side].wall_s / times["turbo, GPU"].wall_s
        figures["svd.gpu_over_decoding"] = times["turbo, GPU"].wall_s / times["decoding alone"].wall_s
    elif "gpu" in parts:
        print("gpu        not measured: no GPU here")
    return figures


def main() -> int:
    """Measure, print one table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the frames, small, one run of each")
    parser.add_argument("--threads", type=int, default=THREADS, metavar="N", help=f"of both sides; {THREADS}")
    parser.add_argument("--repeats", type=int, default=0, metavar="N", help="runs of each side; 3, or 1 with --quick")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this alone; may be repeated")
    parser.add_argument("--videos", type=Path, metavar="FOLDER", help="where videos are kept; else they are temporary")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures are written")
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--video", help=argparse.SUPPRESS)
    parser.add_argument("--sbin", type=int, default=SBIN, help=argparse.SUPPRESS)
    parser.add_argument("--gpus", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--rois", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.side:
        asked = Asked(chosen.rois, chosen.threads, chosen.sbin, chosen.gpus)
        one_side(chosen.side, chosen.video, asked, chosen.videos)
        return 0
    repeats = chosen.repeats or (1 if chosen.quick else 3)
    with contextlib.ExitStack() as stack:
        videos = chosen.videos or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        videos.mkdir(parents=True, exist_ok=True)
        print(f"SVD of 640x480 video, sbin {SBIN}, {chosen.threads} thread(s), medians of {repeats}")
        figures = measure(videos, chosen.only or list(PARTS), chosen.quick, repeats, chosen.threads)
    for name, value in figures.items():
        print(f"{name:36} {value:10.3f}")
    if chosen.json:
        machine = {"python": platform.python_version(), "processor": platform.processor(), "cpus": os.cpu_count()}
        machine["threads"] = chosen.threads
        chosen.json.write_text(json.dumps({"machine": machine, "figures": figures}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
