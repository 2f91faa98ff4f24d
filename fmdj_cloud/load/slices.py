"""Components of a signals.h5 file, a bounded number of bytes at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fmdj_cloud.signals_h5 import Array, Basis, SignalsReader

_FLOAT32 = 4
_ALIGNED = 8
"""Slices start and end on chunks of the file where memory allows, so that nothing is read twice."""


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


def component_slices(signals: SignalsReader, roi_no: int, basis: Basis, slice_bytes: int) -> Iterator[ComponentSlice]:
    """Yield a region's components in order, at most `slice_bytes` at a time (at least one component).

    Parameters
    ----------
    signals : SignalsReader
    roi_no : int
    basis : {"mot", "mov"}
    slice_bytes : int
    """
    count = signals.n_components(roi_no, basis)
    if not count:
        return
    height, width, _ = signals.shape(roi_no, f"{basis}/masks") or (0, 0, 0)
    per_component = _FLOAT32 * (height * width + signals.nframes)
    step = max(1, slice_bytes // max(1, per_component))
    if step > _ALIGNED:
        step -= step % _ALIGNED
    for start in range(0, count, step):
        masks, projections = signals.components(roi_no, basis, start, min(start + step, count))
        yield ComponentSlice(start, masks, projections)
