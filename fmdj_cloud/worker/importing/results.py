"""The results of a proc dict, region by region, each checked against the layout as it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from fmdj_cloud.signals_h5 import Basis
from fmdj_cloud.worker.importing.layout import Layout
from fmdj_cloud.worker.importing.proc import Array, Proc
from fmdj_cloud.worker.svd.geometry import Size, binned_box

_MAX_SIDE = 1 << 18
"""Of the picture of all views side by side."""


class Results:
    """What stands in a proc dict's lists; everything raises InputError (check ``import_content``) where it is wrong.

    Parameters
    ----------
    proc : Proc
    layout : Layout
        Of `proc`.
    """

    def __init__(self, proc: Proc, layout: Layout) -> None:
        self._proc = proc
        self._layout = layout
        self._sbin = layout.params.sbin

    def picture(self, name: str) -> Array:
        """Return the mean frame or the mean motion, (y, x), binned."""
        whole = self._proc.optional_array(f"{name}_reshape", dimensions=2)
        if whole is not None:
            if not 0 < min(whole.shape) <= max(whole.shape) <= _MAX_SIDE:
                raise self._proc.wrong(f"{name}_reshape", f"is a picture of shape {whole.shape}")
            return whole
        parts = self._proc.list(name)
        height, width = (side // self._sbin for side in self._layout.sizes[0])
        flat = self._proc.numbers(name, parts[0]) if len(self._layout.sizes) == len(parts) == 1 else np.zeros(0)
        if flat.size == height * width > 0:
            return flat.reshape(height, width)
        raise self._proc.wrong(f"{name}_reshape", "is missing")

    def projections(self, basis: Basis, slot: int) -> Array:
        """Return a region's projections, (n, c)."""
        return self._proc.array(f"{basis}SVD", self._proc.list(f"{basis}SVD")[slot], dimensions=2)

    def masks(self, index: int | None, basis: Basis, slot: int) -> Array:
        """Return a region's masks, (y, x, c).

        Parameters
        ----------
        index : int or None
            Place of a motion ROI among the ROIs; None is the full frame.
        basis : {"mot", "mov"}
        slot : int
            Its place in Facemap's lists.
        """
        name = f"{basis}Mask_reshape"
        listed = self._proc.list(name)
        if slot < len(listed):
            return self._proc.array(name, listed[slot], dimensions=3)
        flat = self._proc.list(f"{basis}Mask")
        if slot >= len(flat):
            raise self._proc.wrong(name, "lacks a region")
        masks = self._proc.array(f"{basis}Mask", flat[slot], dimensions=2)
        height, width = self._binned(index)
        if len(masks) != height * width:
            raise self._proc.wrong(name, "is missing")
        return masks.reshape(height, width, masks.shape[1])

    def singular_values(self, basis: Basis, slot: int, count: int) -> Array | None:
        """Return a region's singular values, None where the file holds another region's (F6)."""
        name = f"{basis}Sv"
        listed = self._proc.value(name)
        slots = [self._layout.slot(region) for region in self._layout.svd_regions]
        if isinstance(listed, list | tuple) and not all(isinstance(item, int | float) for item in listed):
            # The datajoint fork keeps a list with the values of every region
            place = slot if len(listed) > max(slots) else slots.index(slot)
            values = self._proc.numbers(name, listed[place]) if len(listed) >= len(slots) else np.zeros(0)
        else:
            values = self._proc.numbers(name, listed) if slot == slots[-1] else np.zeros(0)
        return values if values.shape == (count,) and np.all(values > 0) else None

    def of_frames(self, key: str, value: Any, dimensions: int) -> Array:
        """Return a trace with a row for every frame."""
        array = self._proc.array(key, value, dimensions=dimensions)
        if len(array) != self._layout.nframes or array.size > 4 * len(array):
            raise self._proc.wrong(key, f"has a trace of shape {array.shape} for {self._layout.nframes} frames")
        return array

    def _binned(self, index: int | None) -> Size:
        """Return the size that a region should have when binned; a single view's for the full frame."""
        if index is not None:
            box = binned_box(self._layout.params.rois[index], self._sbin)
            return box.height, box.width
        height, width = self._layout.sizes[0]
        return height // self._sbin, width // self._sbin
