"""What passes from the decoding of frames to the computing on them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.worker.svd.geometry import Box

Array = npt.NDArray[Any]
Range = tuple[int, int]
"""First frame and the one after the last."""
BLOCK = 500
"""Frames of a block. Blocks end at multiples of it, wherever reading began: Facemap's chunk of frames."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted of frames.

    Attributes
    ----------
    binned : bool
        Binned pixels of all views.
    crops : tuple of Box
        Boxes of unbinned pixels, each of one view: what pupil, blink and running ROIs look at.
    """

    binned: bool = True
    crops: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Block:
    """Consecutive frames.

    Its arrays are used again: they hold these frames until the next block is asked for.

    Attributes
    ----------
    start : int
        Number of the first frame, from 0, over all sequential files.
    binned : ndarray of uint8, uint16 or uint32, shape (n, P)
        Sum of the gray levels in every bin: exact, and `sbin` squared times Facemap's binned value. The views'
        bins one after the other, row by row; P is :func:`fmdj_cloud.worker.svd.geometry.binned_pixels`.
        Shape (n, 0) where it isn't wanted. The type is :func:`sum_type`'s.
    crops : tuple of ndarray of uint8, shape (n, height, width)
        Gray levels of the boxes that are wanted, in their order.
    """

    start: int
    binned: Array
    crops: tuple[Array, ...]

    @property
    def stop(self) -> int:
        """The frame after the last."""
        return self.start + len(self.binned)


def sum_type(sbin: int) -> npt.DTypeLike:
    """Return the smallest unsigned integer that holds the sum of sbin x sbin gray levels."""
    largest = 255 * sbin * sbin
    return np.uint8 if largest < 1 << 8 else np.uint16 if largest < 1 << 16 else np.uint32


def edges(start: int, stop: int, size: int) -> list[Range]:
    """Return the blocks that ``start:stop`` falls into, cut at multiples of `size`.

    Raises
    ------
    ValueError
        If the range is empty or lies below 0, or `size` isn't positive.
    """
    if not 0 <= start < stop or size < 1:
        raise ValueError(f"frames {start}:{stop} in blocks of {size} are none")
    cuts = [start, *range((start // size + 1) * size, stop, size), stop]
    return list(itertools.pairwise(cuts))
