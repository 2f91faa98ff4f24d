"""What a worker's process really takes, against what ``fmdj plan --fleet`` says of such a recording."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.kubernetes import Figure
from fmdj_cloud.contracts import Limits, RoiKind, Stage, SvdParams
from fmdj_cloud.control.fleet.file import Pods, Sort
from fmdj_cloud.control.fleet.work import work_of
from fmdj_cloud.demo.recordings import RecordingSpec, generate
from tests.support.shards.pods import Lab
from tests.support.turbo.runs import to_roi

WIDTH, HEIGHT, SBIN, FPS = 640, 480, 4, 30.0
LIMITS = Limits(time_budget_s=3600, memory_mib=8192, scratch_mib=65536, threads=1)


def run_worker(lab: Lab, videos: list[list[Path]], params: SvdParams) -> float:
    """Run a worker as a launcher does, and return the CPU time of all its processes, seconds."""
    process = lab.start(lab.spec(videos, svd=params, limits=LIMITS), Stage.ALL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"The worker ended with {process.returncode}; see {lab.folder}.")
    return usage.ru_utime + usage.ru_stime


def planned(spec: RecordingSpec, params: SvdParams) -> float:
    """Return the CPU time that the plan of a fleet gives one such recording, seconds."""
    kinds = [roi.kind for roi in params.rois]
    rois = {
        "motion": kinds.count(RoiKind.MOTION_SVD),
        "pupil": kinds.count(RoiKind.PUPIL),
        "blink": kinds.count(RoiKind.BLINK),
        "running": kinds.count(RoiKind.RUNNING),
    }
    minutes = sum(spec.nframes) / FPS / 60
    size = {"width": spec.width, "height": spec.height, "sbin": params.sbin, "fps": FPS}
    return work_of(Sort(name="measured", number=1, minutes=minutes, rois=rois, **size), Pods()).cpu_s


def plan_against_worker(folder: Path, frames: tuple[int, ...]) -> list[Figure]:
    """Compare recordings of several lengths, without ROIs and with some."""
    (folder / "videos").mkdir()
    (folder / "lab").mkdir()
    lab = Lab(folder / "lab", [folder])
    figures = []
    for number in frames:
        spec = RecordingSpec(f"{number}", WIDTH, HEIGHT, (number,), seed=1)
        recording = generate(spec, folder / "videos")
        rois = tuple(to_roi(roi) for roi in recording.rois("whisker", "pupil"))
        for name, params in (("", SvdParams(sbin=SBIN)), ("_rois", SvdParams(sbin=SBIN, rois=rois))):
            measured, said = run_worker(lab, list(recording.videos), params), planned(spec, params)
            words = (
                f"planned over measured CPU s of {number} frames{name and ' with ROIs'}: {said:.1f} / {measured:.1f}"
            )
            figures.append(Figure(f"plan_over_worker_{number}{name}", said / measured, words))
    return figures
