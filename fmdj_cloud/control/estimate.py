"""What a run is expected to need: pure formulas, from measurements of Facemap 1.0.8.

Memory is its peak: frames of the basis' chunks in full resolution, the same binned, the merge of the
chunks' components, and the projections. Time is CPU time of one thread. Both err on the large side: too
much memory asked for is cheaper than an attempt lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fmdj_cloud.contracts import Estimate, Limits, RecordingInfo, RoiKind, SvdParams
from fmdj_cloud.control.headers import VideoHeader
from fmdj_cloud.settings import ControllerSettings, WorkerSettings

MIB = 1 << 20
_CHUNK = 1000
"""Frames of one chunk of Facemap's basis; at most 15 chunks."""
_COMPONENTS = 500
_PROCESS_BYTES = 1.0e9
"""Facemap imported (0.44 GB) and the worker around it."""
_MARGIN = 1.25
"""Measured peaks lie up to 15 % above the formula."""
_GUESSED = (480, 640)
"""Height and width where nothing is known."""
_START_S = 20.0
_DOWNLOAD_BYTES_PER_S = 50e6
_FULL_PASS_S = 3.7e-8
"""Decoding three times and binning, per pixel and frame."""
_EXTRA_PASS_S = 1.0e-8
"""A further pass for eye ROIs, per pixel and frame."""
_BASIS_S = 3.1e-4
"""SVD of one chunk, per binned pixel."""
_PROJECTION_S = 5.9e-8
"""Per binned pixel and frame."""
_PUPIL_S = 1.9e-3
_RUNNING_S = 0.8e-3


@dataclass(frozen=True)
class ViewSize:
    """What is expected of one view: pixels and frames over all its files."""

    height: int
    width: int
    frames: int


class Parts(NamedTuple):
    """What the time of a run is made of, seconds.

    Attributes
    ----------
    start : float
        Of the worker's own process, in every pod.
    download : float
        Of its videos: time, not CPU time.
    basis : float
        What is computed once, before the frames.
    frames : float
        What is computed frame by frame, and can be shared out.
    """

    start: float
    download: float
    basis: float
    frames: float

    @property
    def total(self) -> float:
        """All of it."""
        return round(sum(self), 1)


@dataclass(frozen=True)
class FileFacts:
    """What planning knows of one file."""

    name: str
    size: int
    header: VideoHeader | None = None


def measure(rows: Sequence[Sequence[FileFacts]], info: RecordingInfo | None) -> tuple[tuple[ViewSize, ...], str]:
    """Return the size of every view and where it is known from.

    Parameters
    ----------
    rows : sequence of sequence of FileFacts
        Outer sequential, inner simultaneous.
    info : RecordingInfo or None
        The Element's row, if there is one: it wins.

    Returns
    -------
    views : tuple of ViewSize
    source : str
        ``RecordingInfo``, ``header`` or ``guess``.
    """
    if info is not None:
        return tuple(ViewSize(info.height, info.width, info.nframes) for _ in rows[0]), "RecordingInfo"
    guessed = False
    views = []
    for number in range(len(rows[0])):
        files = [row[number] for row in rows]
        headers = [file.header for file in files if file.header is not None]
        guessed |= len(headers) < len(files) or any(header.frames == 0 for header in headers)
        views.append(
            ViewSize(
                height=max((header.height for header in headers), default=_GUESSED[0]),
                width=max((header.width for header in headers), default=_GUESSED[1]),
                frames=sum(
                    file.header.frames if file.header and file.header.frames else _guess_frames(file) for file in files
                ),
            )
        )
    return tuple(views), "guess" if guessed else "header"


def _guess_frames(file: FileFacts) -> int:
    """Return a large guess of a file's frames: motion JPEG takes some 30 kB a frame, others a few."""
    return max(1, file.size // (15_000 if file.name.lower().endswith(".avi") else 2_000))


def estimate_svd(
    params: SvdParams, views: Sequence[ViewSize], source: str, video_bytes: int, settings: ControllerSettings
) -> tuple[Estimate, tuple[str, ...]]:
    """Return what an SVD run is expected to need.

    Parameters
    ----------
    params : SvdParams
    views : sequence of ViewSize
    source : str
        Where `views` is known from.
    video_bytes : int
        Of all files.
    settings : ControllerSettings
        For the caps.

    Returns
    -------
    estimate : Estimate
    notes : tuple of str
        Where the estimate lies above a cap.
    """
    frames, pixels, binned, chunks = _sizes(params, views)
    motion_rois = sum(roi.kind is RoiKind.MOTION_SVD for roi in params.rois)
    regions = int(params.full_svd) + motion_rois
    signals = int(params.mot_svd) + int(params.mov_svd)
    outputs = 4.0 * signals * regions * _COMPONENTS * (frames + 2 * binned)
    peak = (
        _PROCESS_BYTES
        + 5.0 * _CHUNK * pixels
        + 20.0 * _CHUNK * binned
        + 2.2 * 4 * 250 * chunks * binned
        + 4.0 * frames * _COMPONENTS * (1 + motion_rois) * max(1, signals)
    )
    notes: list[str] = []
    return (
        Estimate(
            frames=frames,
            height=max(view.height for view in views),
            width=max(view.width for view in views),
            seconds=svd_parts(params, views, video_bytes).total,
            memory_mib=capped("memory", round_up(_MARGIN * peak, 256), settings.memory_cap_mib, notes),
            scratch_mib=capped(
                "scratch", round_up(2.0 * video_bytes + 3 * outputs + 1e9, 1024), settings.scratch_cap_mib, notes
            ),
            source=source,
        ),
        tuple(notes),
    )


def first_limits(estimate: Estimate, controller: ControllerSettings, worker: WorkerSettings) -> Limits:
    """Return the limits of a run's first attempt."""
    return Limits(
        time_budget_s=max(controller.min_budget_s, 4 * estimate.seconds),
        memory_mib=estimate.memory_mib,
        scratch_mib=estimate.scratch_mib,
        threads=worker.threads,
        max_missing_frames=worker.max_missing_frames,
        max_view_mismatch_frames=worker.max_view_mismatch_frames,
        max_bad_frames=worker.max_bad_frames,
        allow_unknown_facemap=worker.allow_unknown_facemap,
    )


def svd_parts(params: SvdParams, views: Sequence[ViewSize], video_bytes: int) -> Parts:
    """Return what the time of an SVD run with Facemap itself is made of.

    Parameters
    ----------
    params : SvdParams
    views : sequence of ViewSize
    video_bytes : int
        Of all files.
    """
    frames, pixels, binned, chunks = _sizes(params, views)
    kinds = [roi.kind for roi in params.rois]
    signals = int(params.mot_svd) + int(params.mov_svd)
    regions = int(params.full_svd) + 0.3 * kinds.count(RoiKind.MOTION_SVD)
    extra_passes = kinds.count(RoiKind.PUPIL) + kinds.count(RoiKind.BLINK)
    return Parts(
        start=_START_S,
        download=video_bytes / _DOWNLOAD_BYTES_PER_S,
        basis=regions * signals * binned * chunks * _BASIS_S,
        frames=frames * pixels * (_FULL_PASS_S + extra_passes * _EXTRA_PASS_S)
        + regions * signals * binned * frames * _PROJECTION_S
        + frames * (_PUPIL_S * kinds.count(RoiKind.PUPIL) + _RUNNING_S * kinds.count(RoiKind.RUNNING)),
    )


def _sizes(params: SvdParams, views: Sequence[ViewSize]) -> tuple[int, int, int, int]:
    """Return frames, pixels, binned pixels and the basis' chunks."""
    frames = max(view.frames for view in views)
    pixels = sum(view.height * view.width for view in views)
    # at least one binned pixel per view, whatever the bin
    binned = sum(max(1, view.height // params.sbin) * max(1, view.width // params.sbin) for view in views)
    return frames, pixels, binned, max(1, min(15, frames // _CHUNK))


def round_up(size: float, step_mib: int) -> int:
    """Return a size in bytes as MiB, in steps of so many."""
    return math.ceil(size / MIB / step_mib) * step_mib


def capped(what: str, wanted_mib: int, cap_mib: int, notes: list[str]) -> int:
    """Return a size within its cap, and note it where that may not do.

    Parameters
    ----------
    what : {"memory", "scratch"}
    wanted_mib, cap_mib : int
    notes : list of str
        What people are told; added to.
    """
    if wanted_mib <= cap_mib:
        return wanted_mib
    notes.append(
        f"It may need {wanted_mib} MiB of {what}; controller.{what}_cap_mib={cap_mib} allows less, so it may fail."
    )
    return cap_mib
