"""The regions that have an SVD, and their binned pixels among those of all views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fmdj_cloud.contracts import RoiKind, SvdParams
from fmdj_cloud.worker.svd.geometry import (
    Size,
    binned_box,
    binned_pixels,
    binned_size,
    has_full_frame,
    has_svd,
    of_kind,
)

Array = npt.NDArray[Any]
Movement = Literal["mot", "mov"]
"""What an SVD is of: differences between frames, or the frames themselves."""


@dataclass(frozen=True)
class Region:
    """A region with an SVD.

    Attributes
    ----------
    slot : int
        Facemap's place for it: 0 for the full frame, k + 1 for the k-th motion ROI, full frame or none.
    roi : int or None
        Place in the parameters' ROIs; None for the full frame.
    shape : (int, int)
        Rows and columns of a ROI's bins; of the full frame, 1 and all bins of all views.
    columns : ndarray of int64 or None
        Its bins among those of all views, row by row; None for all of them.
    """

    slot: int
    roi: int | None
    shape: Size
    columns: Array | None

    @property
    def pixels(self) -> int:
        """Bins in it."""
        return self.shape[0] * self.shape[1]

    def of(self, values: Array) -> Array:
        """Return its part of values of all bins, (..., P)."""
        return values if self.columns is None else values[..., self.columns]


def svd_regions(params: SvdParams, sizes: Sequence[Size]) -> tuple[Region, ...]:
    """Return the regions that have an SVD, in Facemap's order; none where no SVD is asked for.

    Parameters
    ----------
    params : SvdParams
    sizes : sequence of (int, int)
        Height and width of every view.
    """
    if not has_svd(params):
        return ()
    regions = []
    if has_full_frame(params):
        regions.append(Region(0, None, (1, binned_pixels(sizes, params.sbin)), None))
    for slot, index in enumerate(of_kind(params, RoiKind.MOTION_SVD), start=1):
        box = binned_box(params.rois[index], params.sbin)
        before = binned_pixels(sizes[: box.view], params.sbin)
        width = binned_size(sizes[box.view], params.sbin)[1]
        rows, columns = np.arange(box.y0, box.y1), np.arange(box.x0, box.x1)
        bins = before + rows[:, np.newaxis] * width + columns
        regions.append(Region(slot, index, (box.height, box.width), bins.ravel()))
    return tuple(regions)


def movements(params: SvdParams) -> tuple[Movement, ...]:
    """Return what the SVDs that are asked for are of."""
    asked: list[Movement] = ["mot"] if params.mot_svd else []
    if params.mov_svd:
        asked.append("mov")
    return tuple(asked)
