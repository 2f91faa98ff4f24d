"""What is measured in crops of unbinned pixels: pupil, blink and running."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy.typing as npt

from fmdj_cloud.contracts import Roi, RoiKind, SvdParams
from fmdj_cloud.worker.svd.geometry import Box, pixel_box
from fmdj_cloud.worker.svd.running import Displacement
from fmdj_cloud.worker.turbo.eyes import measure_blink, measure_pupil

Array = npt.NDArray[Any]

KINDS = (RoiKind.PUPIL, RoiKind.BLINK, RoiKind.RUNNING)


class Meters:
    """All pupil, blink and running ROIs of a recording; each sees the frames as they are, whatever the others see.

    Parameters
    ----------
    params : SvdParams
    """

    def __init__(self, params: SvdParams) -> None:
        self._rois = {index: roi for index, roi in enumerate(params.rois) if roi.kind in KINDS}

    @property
    def crops(self) -> tuple[Box, ...]:
        """What they look at, each box once."""
        return tuple(dict.fromkeys(pixel_box(roi) for roi in self._rois.values()))

    def rows(self, start: int, crops: tuple[Array, ...]) -> dict[str, Array]:
        """Measure a block.

        Parameters
        ----------
        start : int
            Its first frame.
        crops : tuple of ndarray of uint8, shape (n, height, width)
            In the order of :attr:`crops`, with the frame before the block's first unless that is the recording's.

        Returns
        -------
        dict of str to ndarray
            Rows of the block's frames by their place in a part.
        """
        rows = {}
        seen = dict(zip(self.crops, crops, strict=True))
        for index, roi in self._rois.items():
            for field, values in self._measure(roi, seen[pixel_box(roi)], first=start == 0).items():
                rows[f"rois/{index}/{field}"] = values
        return rows

    def _measure(self, roi: Roi, crop: Array, *, first: bool) -> dict[str, Array]:
        if roi.kind is RoiKind.RUNNING:
            moved = Displacement(*crop.shape[1:]).of(crop)
            if not first:
                return {"displacement": moved[1:]}
            moved[0] = moved[min(1, len(moved) - 1)]
            return {"displacement": moved}
        own = crop if first else crop[1:]
        if roi.kind is RoiKind.BLINK:
            return {"trace": measure_blink(own, roi)}
        return dataclasses.asdict(measure_pupil(own, roi))
