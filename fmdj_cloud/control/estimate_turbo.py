"""What a turbo run is expected to need: pure formulas, from what its modules state and from measurements.

Memory is the largest of its stages, with part of the cache of decoded frames; scratch holds the rest of it. Time is
CPU time of one thread. Both err on the large side.
"""

from __future__ import annotations

from collections.abc import Sequence

from fmdj_cloud.contracts import Basis, Estimate, RoiKind, SvdParams
from fmdj_cloud.control.estimate import Parts, ViewSize, capped, round_up
from fmdj_cloud.settings import ControllerSettings

_PROCESS_BYTES = 0.55e9
"""The worker and its computing child, with what they import."""
_MARGIN = 1.25
_CACHE_BYTES = 0.5e9
"""Of decoded frames in memory; the others lie on scratch."""
_CHUNK = 1000
_CHUNKS = 15
_CHUNK_COMPONENTS = 250
_COMPONENTS = 500
_BLOCK = 500
_BLOCKS = 3 + 4
"""Of frames that are decoded ahead, and of those that are computed on, with two threads."""
_START_S = 6.0
_DOWNLOAD_BYTES_PER_S = 50e6
_DECODE_S = 3.0e-9
"""Decoding and binning, per pixel and frame."""
_CHUNK_S = 3.0e-5
"""SVD of one chunk, per binned pixel."""
_GRAM_S = 1.2e-11
"""Merging, per binned pixel and square of the components."""
_EIGEN_S = 1.5e-10
"""Eigenvectors, per cube of the components."""
_PROJECTION_S = 1.0e-8
"""Per binned pixel and frame."""
_PUPIL_S = 0.6e-3
_RUNNING_S = 0.8e-3


def estimate_turbo(
    params: SvdParams,
    views: Sequence[ViewSize],
    source: str,
    video_bytes: int,
    settings: ControllerSettings,
    basis: Basis = Basis.EXACT,
) -> tuple[Estimate, tuple[str, ...]]:
    """Return what an SVD run of the engine turbo is expected to need.

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
    basis : Basis
        Facemap's takes more memory: scikit-learn copies what it decomposes.

    Returns
    -------
    estimate : Estimate
    notes : tuple of str
        Where the estimate lies above a cap.
    """
    frames, binned, regions, svds, chunks = _sizes(params, views)
    sums = binned * (1 if params.sbin == 1 else 2 if params.sbin <= 16 else 4)
    rows = min(_CHUNK_COMPONENTS * chunks, max(regions, default=0))
    crops = sum((roi.y1 - roi.y0) * (roi.x1 - roi.x0) for roi in params.rois if roi.kind is not RoiKind.MOTION_SVD)
    cache = min(frames, (chunks + 1) * _CHUNK) * (sums + crops)
    copied = 12.0 * max(_CHUNK, _CHUNK_COMPONENTS * chunks) if basis is Basis.FACEMAP else 0.0
    masks = 4.0 * svds * _COMPONENTS * sum(regions)
    projections = 4.0 * svds * _COMPONENTS * frames * len(regions)
    peak = (
        _PROCESS_BYTES
        + min(cache, _CACHE_BYTES)
        + _BLOCKS * _BLOCK * (sums + crops)
        + max(
            4.0 * _CHUNK * sums
            + 28.0 * rows**2
            + 8.0 * _COMPONENTS * max(regions, default=0)
            + copied * max(regions, default=0),
            8.0 * _BLOCK * max(regions, default=0),
            4.0 * frames * (_COMPONENTS * bool(svds) + 24 * (1 + len(params.rois))),
        )
        + masks
    )
    pieces = 4.0 * svds * _CHUNK_COMPONENTS * chunks * sum(regions)
    outputs = max(pieces, projections) + 5 * masks + 2 * projections
    notes: list[str] = []
    return (
        Estimate(
            frames=frames,
            height=max(view.height for view in views),
            width=max(view.width for view in views),
            seconds=turbo_parts(params, views, video_bytes).total,
            memory_mib=capped("memory", round_up(_MARGIN * peak, 256), settings.memory_cap_mib, notes),
            scratch_mib=capped(
                "scratch",
                round_up(1.1 * video_bytes + 1.2 * (outputs + cache) + 0.5e9, 1024),
                settings.scratch_cap_mib,
                notes,
            ),
            source=source,
        ),
        tuple(notes),
    )


def _regions(params: SvdParams, binned: int) -> list[int]:
    """Return about how many bins each region with an SVD has."""
    found = [binned] if params.full_svd else []
    for roi in params.rois:
        if roi.kind is RoiKind.MOTION_SVD:
            found.append(min(binned, max(1, (roi.y1 - roi.y0) * (roi.x1 - roi.x0) // params.sbin**2)))
    return found


def turbo_parts(
    params: SvdParams, views: Sequence[ViewSize], video_bytes: int, *, room_for_cache: bool = False
) -> Parts:
    """Return what the time of an SVD run of the engine turbo is made of.

    Parameters
    ----------
    params : SvdParams
    views : sequence of ViewSize
    video_bytes : int
        Of all files.
    room_for_cache : bool
        Whether the frames of the basis surely find room in memory and scratch. Where they don't, they are decoded
        again.
    """
    frames, _, regions, svds, chunks = _sizes(params, views)
    pixels = sum(view.height * view.width for view in views)
    decomposed = sum(regions) * svds
    kinds = [roi.kind for roi in params.rois]
    rows = _CHUNK_COMPONENTS * chunks
    again = (chunks + 1) * _CHUNK * bool(frames > (chunks + 1) * _CHUNK and not room_for_cache)
    return Parts(
        start=_START_S,
        download=video_bytes / _DOWNLOAD_BYTES_PER_S,
        basis=again * pixels * _DECODE_S
        + decomposed * (chunks * _CHUNK_S + rows**2 * _GRAM_S)
        + bool(decomposed) * rows**3 * _EIGEN_S,
        frames=frames * pixels * _DECODE_S
        + decomposed * frames * _PROJECTION_S
        + frames * (_PUPIL_S * kinds.count(RoiKind.PUPIL) + _RUNNING_S * kinds.count(RoiKind.RUNNING)),
    )


def _sizes(params: SvdParams, views: Sequence[ViewSize]) -> tuple[int, int, list[int], int, int]:
    """Return frames, binned pixels, bins of every region with an SVD, SVDs of each, and chunks of the basis."""
    frames = max(view.frames for view in views)
    # at least one binned pixel per view, whatever the bin
    binned = sum(max(1, view.height // params.sbin) * max(1, view.width // params.sbin) for view in views)
    regions = _regions(params, binned)
    svds = (int(params.mot_svd) + int(params.mov_svd)) * bool(regions)
    return frames, binned, regions, svds, max(1, min(_CHUNKS, frames // _CHUNK)) if svds else 0
