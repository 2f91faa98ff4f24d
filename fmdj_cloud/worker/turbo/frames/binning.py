"""Sums of gray levels over bins, exact: one pass over the frame, row by row, with integer accumulators.

Compiled by numba: 0.03 ms for 640x480 and bins of 4x4, of which numpy needs 0.06, and without Python's lock. OpenCV
has no exact equivalent: its resize averages rounded gray levels, or floats at 0.12 ms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.worker.turbo.compiled import compiled

Array = npt.NDArray[Any]


@compiled
def add_bins(frame: Array, sbin: int, sums: Array, out: Array) -> None:
    """Sum gray levels over bins of sbin x sbin pixels; what doesn't fill a bin at the lower and right edge is left out.

    Parameters
    ----------
    frame : ndarray of uint8, shape (height, stride), C-contiguous
        Only the first ``len(sums)`` pixels of a row belong to the frame.
    sbin : int
    sums : ndarray of uint16 or uint32, shape (width // sbin * sbin,)
        Working space, of the type of `out`.
    out : ndarray, shape (height // sbin * (width // sbin),)
        The sums, row by row.
    """
    width = len(sums)
    columns = width // sbin
    for row in range(frame.shape[0] // sbin):
        top = row * sbin
        for x in range(width):
            sums[x] = frame[top, x]
        for y in range(top + 1, top + sbin):
            for x in range(width):
                sums[x] += frame[y, x]
        for column in range(columns):
            total = np.uint32(0)
            for x in range(column * sbin, (column + 1) * sbin):
                total += sums[x]
            out[row * columns + column] = total


@compiled
def all_equal(plane: Array, width: int, value: int) -> bool:
    """Tell whether the first `width` values of all rows are `value`.

    Parameters
    ----------
    plane : ndarray of uint8, shape (height, stride), C-contiguous
    width, value : int
    """
    expected = np.uint8(value)
    for y in range(plane.shape[0]):
        difference = np.uint8(0)
        for x in range(width):
            difference |= plane[y, x] ^ expected
        if difference:
            return False
    return True
