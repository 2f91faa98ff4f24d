"""Binned pixels and regions, numbered and placed as Facemap and the Element do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fmdj_cloud.contracts import Roi, RoiKind, SvdParams

Size = tuple[int, int]
"""Height, width."""


@dataclass(frozen=True)
class Box:
    """Half-open ranges of pixels of one view: ``y0:y1, x0:x1``."""

    view: int
    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def height(self) -> int:
        """Rows."""
        return max(0, self.y1 - self.y0)

    @property
    def width(self) -> int:
        """Columns."""
        return max(0, self.x1 - self.x0)

    @property
    def pixels(self) -> int:
        """Pixels in it."""
        return self.height * self.width

    def overlaps(self, other: Box) -> bool:
        """Tell whether a pixel lies in both."""
        return (
            self.view == other.view
            and self.y0 < other.y1
            and other.y0 < self.y1
            and self.x0 < other.x1
            and other.x0 < self.x1
        )


def pixel_box(roi: Roi) -> Box:
    """Return the pixels of a ROI."""
    return Box(roi.view, roi.y0, roi.y1, roi.x0, roi.x1)


def binned_box(roi: Roi, sbin: int) -> Box:
    """Return the binned pixels that Facemap takes for a motion ROI.

    It leaves out the bin of the ROI's last row, and keeps that of the last column unless the bin begins with it.
    """
    return Box(
        roi.view,
        roi.y0 // sbin,
        (roi.y1 - 1) // sbin,
        roi.x0 // sbin,
        math.ceil((roi.x1 - 1) / sbin),
    )


def binned_size(size: Size, sbin: int) -> Size:
    """Return the size of a binned view: what doesn't fill a bin at its lower and right edge is left out."""
    return size[0] // sbin, size[1] // sbin


def binned_pixels(sizes: Sequence[Size], sbin: int) -> int:
    """Return the binned pixels of all views."""
    return sum(y * x for y, x in (binned_size(size, sbin) for size in sizes))


def layout_pixels(sizes: Sequence[Size], sbin: int) -> int:
    """Return an upper bound of the pixels of all binned views laid out in one picture."""
    views = len(sizes)
    cells = views if views <= 3 else 2 * math.ceil(views / 2)
    binned = [binned_size(size, sbin) for size in sizes]
    return cells * max(y for y, _ in binned) * max(x for _, x in binned) if views > 1 else binned_pixels(sizes, sbin)


def has_svd(params: SvdParams) -> bool:
    """Tell whether any SVD is asked for."""
    return params.mot_svd or params.mov_svd


def has_full_frame(params: SvdParams) -> bool:
    """Tell whether there is a region that is the full frame."""
    return params.full_svd and has_svd(params)


def roi_number(params: SvdParams, index: int) -> int:
    """Return the Element's number of a ROI: the full frame, if it is computed, comes first."""
    return index + 1 if has_full_frame(params) else index


def region_name(params: SvdParams, index: int) -> str:
    """Return a ROI's name, at most 16 characters: its own, or its type and its place within it."""
    roi = params.rois[index]
    if roi.name:
        return roi.name[:16]
    return f"{roi.kind.value} {nth_of_kind(params, index) + 1}"


def nth_of_kind(params: SvdParams, index: int) -> int:
    """Return a ROI's place among those of its type, from 0."""
    return sum(roi.kind is params.rois[index].kind for roi in params.rois[:index])


def of_kind(params: SvdParams, kind: RoiKind) -> tuple[int, ...]:
    """Return the places of all ROIs of a type."""
    return tuple(index for index, roi in enumerate(params.rois) if roi.kind is kind)
