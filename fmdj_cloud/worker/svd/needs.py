"""What a computation needs of memory and scratch at the least: a pure function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fmdj_cloud.contracts import RoiKind, SvdParams
from fmdj_cloud.worker.svd.geometry import Size, binned_box, binned_pixels, has_full_frame, has_svd
from fmdj_cloud.worker.svd.inputs import components

_IMPORTED_MIB = 440
"""Facemap and what it imports."""
_CHUNK = 1000
_CHUNK_COMPONENTS = 250
_MIB = 1 << 20


@dataclass(frozen=True)
class Needs:
    """The least that a computation needs, MiB.

    Attributes
    ----------
    memory_mib, scratch_mib : int
        Scratch without the videos.
    """

    memory_mib: int
    scratch_mib: int


def needs(params: SvdParams, sizes: Sequence[Size], nframes: int) -> Needs:
    """Return what Facemap needs as measured, less what depends on its surroundings.

    Parameters
    ----------
    params : SvdParams
    sizes : sequence of (int, int)
        Height and width of every view.
    nframes : int
    """
    regions = []
    if has_svd(params):
        regions = [binned_box(roi, params.sbin).pixels for roi in params.rois if roi.kind is RoiKind.MOTION_SVD]
        if has_full_frame(params):
            regions.append(binned_pixels(sizes, params.sbin))
    kinds = 1 + params.mov_svd
    counts = [components(pixels, nframes) for pixels in regions]
    masks = kinds * sum(4 * pixels * count for pixels, count in zip(regions, counts, strict=True))
    projections = kinds * sum(4 * nframes * count for count in counts)

    chunk = min(_CHUNK, nframes)
    chunks = max(1, min(15_000 // chunk, nframes // chunk))
    pieces = kinds * sum(4 * pixels * chunks * min(_CHUNK_COMPONENTS, pixels) for pixels in regions)
    reading = 5 * chunk * sum(y * x for y, x in sizes)
    basis = reading + (3 * 4 * chunk * binned_pixels(sizes, params.sbin) + pieces if regions else 0)
    saving = 2 * masks + projections
    return Needs(
        memory_mib=_IMPORTED_MIB + max(basis, saving) // _MIB,
        scratch_mib=(2 * saving - masks) // _MIB + 1,  # Facemap's file, then signals.h5
    )
