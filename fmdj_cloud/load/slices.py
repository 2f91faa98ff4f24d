"""Components of a signals.h5 file, a bounded number of bytes at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fmdj_cloud.signals_h5 import Array, Basis, SignalsReader

_FLOAT32 = 4
_ALIGNED = 8
"""Components in a chunk of the file: slices start and end on chunks, since a part of one is read in tiny pieces."""


@dataclass(frozen=True)
class ComponentSlice:
    """Consecutive components of one region.

    Attributes
    ----------
    start : int
        Number of the first component, from 0.
    masks : ndarray of float32, shape (components, y, x)
    projections : ndarray of float32, shape (components, nframes)
    """

    start: int
    masks: Array
    projections: Array


def component_slices(
    signals: SignalsReader, roi_no: int, basis: Basis, slice_bytes: int, *, most: int | None = None
) -> Iterator[ComponentSlice]:
    """Yield a region's components in order, at most `slice_bytes` at a time, but eight components at least.

    Parameters
    ----------
    signals : SignalsReader
    roi_no : int
    basis : {"mot", "mov"}
    slice_bytes : int
    most : int, optional
        Only so many of them, the first ones; all by default.
    """
    count = signals.n_components(roi_no, basis)
    count = count if most is None else min(count, most)
    if not count:
        return
    height, width, _ = signals.shape(roi_no, f"{basis}/masks") or (0, 0, 0)
    per_component = _FLOAT32 * (height * width + signals.nframes)
    step = max(_ALIGNED, slice_bytes // max(1, per_component) // _ALIGNED * _ALIGNED)
    for start in range(0, count, step):
        masks, projections = signals.components(roi_no, basis, start, min(start + step, count))
        yield ComponentSlice(start, masks, projections)
