"""How Facemap lays several views out in one picture, as it was seen to do.

Up to three views stand in a row, the largest first. More stand in columns of two, one below the other: the largest
two in the first column, the next two in the second, and so on; a column is as wide as its wider view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.worker.svd.geometry import Size

Array = npt.NDArray[Any]

_ONE_ROW = 3


@dataclass(frozen=True)
class Layout:
    """Views in one picture.

    Attributes
    ----------
    height, width : int
        Pixels of the picture.
    tops, lefts : tuple of int
        Upper left pixel of each view.
    sizes : tuple of (int, int)
        Height and width of each view.
    """

    height: int
    width: int
    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    sizes: tuple[Size, ...]

    @property
    def places(self) -> Array:
        """Place of every view's pixels, row by row and one view after the other, in the flat picture; int64."""
        return np.concatenate(
            [
                ((top + np.arange(size[0]))[:, np.newaxis] * self.width + left + np.arange(size[1])).ravel()
                for top, left, size in zip(self.tops, self.lefts, self.sizes, strict=True)
            ]
        )

    def picture(self, pixels: Array) -> Array:
        """Return values of all views' pixels, (P, ...), as a picture, (height, width, ...); zero where no view is."""
        if len(self.sizes) == 1:
            return pixels.reshape(self.height, self.width, *pixels.shape[1:])
        flat = np.zeros((self.height * self.width, *pixels.shape[1:]), pixels.dtype)
        flat[self.places] = pixels
        return flat.reshape(self.height, self.width, *pixels.shape[1:])


def lay_out(sizes: Sequence[Size]) -> Layout:
    """Place views.

    Parameters
    ----------
    sizes : sequence of (int, int)
        Height and width of every view.
    """
    order = sorted(range(len(sizes)), key=lambda view: -sizes[view][0] * sizes[view][1])
    deep = 1 if len(sizes) <= _ONE_ROW else 2
    tops, lefts = [0] * len(sizes), [0] * len(sizes)
    width = height = 0
    for first in range(0, len(order), deep):
        top = 0
        for view in order[first : first + deep]:
            tops[view], lefts[view] = top, width
            top += sizes[view][0]
        height = max(height, top)
        width += max(sizes[view][1] for view in order[first : first + deep])
    return Layout(height, width, tuple(tops), tuple(lefts), tuple(sizes))
