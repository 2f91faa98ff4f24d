"""What one recording of a sort takes: seconds of a core, stage by stage, memory, bytes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from fmdj_cloud.contracts import Engine, Estimate, Kind, Roi, RoiKind, SvdParams
from fmdj_cloud.control.estimate import Parts, ViewSize, estimate_svd, svd_parts
from fmdj_cloud.control.estimate_pose import estimate_pose, pose_parts
from fmdj_cloud.control.estimate_turbo import estimate_turbo, turbo_parts
from fmdj_cloud.control.fleet.file import Pods, Sort
from fmdj_cloud.settings import ControllerSettings

_GIB = 1 << 30
_MEASURED = {Engine.TURBO: (2.4, 1.0), Engine.FACEMAP: (6.0, 0.9)}
"""CPU seconds that a worker takes to start, and the share of the estimate that it computes: estimates are there to be
kept to, and err on the large side (``benchmarks/scale.py``, ``benchmarks/svd.py``)."""
_MEASURED_POSE = (9.0, 0.7)
"""Likewise (``benchmarks/pose.py``)."""
_COMPONENTS = 500
_POINT_BYTES = 12
"""x, y and likelihood of a body part in a frame."""
_JOIN_BYTES_PER_S = 100e6
"""Parts are read, joined and written again by the last stage: an object store's pace."""
_ROI = 4
"""ROIs are taken to be a quarter of the frame's height and width."""


@dataclass(frozen=True)
class Stage:
    """Pods of one recording that may run at the same time.

    Attributes
    ----------
    pods : int
    cpu_s : float
        CPU time of each on a core of speed 1, seconds.
    wait_s : float
        Time that each waits for the network, seconds.
    """

    pods: int
    cpu_s: float
    wait_s: float


@dataclass(frozen=True)
class Work:
    """What one recording takes.

    Attributes
    ----------
    stages : tuple of Stage
        One after the other.
    memory_gib : float
        Of a pod.
    gpu : int
        Likewise.
    output_bytes : float
        That are loaded into the database.
    """

    stages: tuple[Stage, ...]
    memory_gib: float
    gpu: int
    output_bytes: float

    @property
    def cpu_s(self) -> float:
        """CPU time of all pods, on a core of speed 1, seconds."""
        return sum(stage.pods * stage.cpu_s for stage in self.stages)

    @property
    def pods(self) -> int:
        """Pods of all stages."""
        return sum(stage.pods for stage in self.stages)


def can_be_cut(sort: Sort) -> bool:
    """Tell whether recordings of a sort can be computed in shards."""
    return sort.kind is Kind.POSE or sort.engine is Engine.TURBO


def work_of(sort: Sort, pods: Pods, shards: int = 1) -> Work:
    """Return what one recording takes.

    Parameters
    ----------
    sort : Sort
    pods : Pods
    shards : int
        Pieces that it is cut into, if it can be; 1 for one pod.
    """
    estimate, parts, (start, share) = _estimated(sort, pods)
    gpu = pods.gpu if sort.kind is Kind.POSE else 0
    output = _output_bytes(sort)
    basis, frames = share * parts.basis, share * parts.frames
    if shards == 1 or not can_be_cut(sort):
        stages: tuple[Stage, ...] = (Stage(1, start + basis + frames, parts.download),)
    else:
        # each shard reads its own part of the videos; what the basis reads lies in all of them
        first = (Stage(1, start + basis, parts.download),) if sort.kind is Kind.SVD else ()
        cut = Stage(shards, start + frames / shards, parts.download / shards)
        stages = (*first, cut, Stage(1, start, 2 * output / _JOIN_BYTES_PER_S))
    return Work(stages, estimate.memory_mib / 1024, gpu, output)


def _estimated(sort: Sort, pods: Pods) -> tuple[Estimate, Parts, tuple[float, float]]:
    settings = ControllerSettings()
    views = (ViewSize(sort.height, sort.width, sort.frames),) * sort.views
    size = round(sort.gib * _GIB)
    if sort.kind is Kind.POSE:
        threads = 1  # what more of them bring is `speedup`
        estimate, _ = estimate_pose(
            views,
            "",
            body_parts=sort.body_parts,
            video_bytes=size,
            model_bytes=0,
            gpu=pods.gpu,
            threads=threads,
            settings=settings,
        )
        return estimate, pose_parts(views, video_bytes=size, gpu=pods.gpu, threads=threads), _MEASURED_POSE
    params = _params(sort)
    if sort.engine is Engine.TURBO:
        estimate, _ = estimate_turbo(params, views, "", size, settings)
        return estimate, turbo_parts(params, views, size, room_for_cache=True), _MEASURED[sort.engine]
    estimate, _ = estimate_svd(params, views, "", size, settings)
    return estimate, svd_parts(params, views, size), _MEASURED[sort.engine]


def _params(sort: Sort) -> SvdParams:
    counts = {
        RoiKind.MOTION_SVD: sort.rois.motion,
        RoiKind.PUPIL: sort.rois.pupil,
        RoiKind.BLINK: sort.rois.blink,
        RoiKind.RUNNING: sort.rois.running,
    }
    box = {"y0": 0, "y1": max(1, sort.height // _ROI), "x0": 0, "x1": max(1, sort.width // _ROI)}
    rois = tuple(Roi(kind=kind, **box) for kind, number in counts.items() for _ in range(number))
    return SvdParams(sbin=sort.sbin, mov_svd=sort.mov_svd, rois=rois)


def _output_bytes(sort: Sort) -> float:
    if sort.kind is Kind.POSE:
        return float(_POINT_BYTES * sort.body_parts * sort.frames)
    binned = sort.views * max(1, sort.height // sort.sbin) * max(1, sort.width // sort.sbin)
    projections = sort.frames * (1 + sort.rois.motion)
    masks = binned * (1 + sort.rois.motion / _ROI**2)
    return 4.0 * _COMPONENTS * (1 + int(sort.mov_svd)) * (projections + masks)
