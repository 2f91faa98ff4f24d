"""From binned sums to what the SVD is of: compiled loops over frames.

All of them release Python's lock. Sums are exact integers, and so are their differences; a value becomes a
gray level (float32) only when it is multiplied by `scale`, one over the pixels of a bin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.worker.turbo.compiled import compiled
from fmdj_cloud.worker.turbo.regions import Movement

Array = npt.NDArray[Any]


@compiled
def _motion(sums: Array, scale: np.float32, out: Array, energy: Array) -> None:
    for row in range(out.shape[0]):
        total = np.int64(0)
        for column in range(out.shape[1]):
            change = np.int32(sums[row + 1, column]) - np.int32(sums[row, column])
            size = abs(change)
            total += size
            out[row, column] = np.float32(size) * scale
        energy[row] = np.float64(total) * np.float64(scale)


@compiled
def _levels(sums: Array, scale: np.float32, out: Array) -> None:
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            out[row, column] = np.float32(sums[row, column]) * scale


@compiled
def _centred_motion(sums: Array, first: int, scale: np.float32, mean: Array, level: Array, out: Array) -> None:
    for row in range(out.shape[0]):
        own = level[row]
        for column in range(out.shape[1]):
            place = first + column
            change = np.int32(sums[row + 1, place]) - np.int32(sums[row, place])
            out[row, column] = np.float32(abs(change)) * scale - mean[place] - own


@compiled
def _centred_frames(sums: Array, first: int, scale: np.float32, mean: Array, level: Array, out: Array) -> None:
    for row in range(out.shape[0]):
        own = level[row]
        for column in range(out.shape[1]):
            place = first + column
            out[row, column] = np.float32(sums[row, place]) * scale - mean[place] - own


@compiled
def _motion_totals(sums: Array, out: Array) -> None:
    for row in range(out.shape[0]):
        total = np.int64(0)
        for column in range(sums.shape[1]):
            total += abs(np.int32(sums[row + 1, column]) - np.int32(sums[row, column]))
        out[row] = total


@compiled
def _add_motion(sums: Array, out: Array) -> None:
    for row in range(sums.shape[0] - 1):
        for column in range(sums.shape[1]):
            out[column] += abs(np.int32(sums[row + 1, column]) - np.int32(sums[row, column]))


def motion(sums: Array, scale: float, out: Array) -> Array:
    """Find how frames differ from those before them.

    Parameters
    ----------
    sums : ndarray of unsigned integers, shape (n + 1, P)
    scale : float
    out : ndarray of float32, shape (n, P)
        Taken to hold the absolute differences, gray levels.

    Returns
    -------
    ndarray of float64, shape (n,)
        Their sum over all bins.
    """
    energy = np.empty(len(out), np.float64)
    _motion(sums, np.float32(scale), out, energy)
    return energy


def levels(sums: Array, scale: float, out: Array) -> None:
    """Turn sums, (n, P), into gray levels, float32."""
    _levels(sums, np.float32(scale), out)


def add_motion(sums: Array, totals: Array) -> None:
    """Add the absolute differences between consecutive frames, (n, P), to `totals`, (P,) int64."""
    _add_motion(sums, totals)


class Centred:
    """Frames of a chunk, or their differences, without the mean and without each one's own mean over the bins.

    Facemap's decomposition takes the latter off too. It was seen to leave the first frame, which has no difference,
    out of the frames as well. Nothing is held but the sums: values are made piece by piece.

    Parameters
    ----------
    sums : ndarray of unsigned integers, shape (n + 1, P)
    movement : {"mot", "mov"}
    mean : ndarray of float32, shape (P,)
        Of the differences, or of the frames; gray levels.
    scale : float
    """

    def __init__(self, sums: Array, movement: Movement, mean: Array, scale: float) -> None:
        self._sums = sums if movement == "mot" else sums[1:]
        self._movement = movement
        self._mean = mean
        self._scale = np.float32(scale)
        self.rows = len(sums) - 1
        self.pixels = sums.shape[1]
        totals = np.empty(self.rows, np.int64)
        if movement == "mot":
            _motion_totals(sums, totals)
        else:
            totals[:] = self._sums.sum(axis=1, dtype=np.int64)
        own = totals * (float(self._scale) / self.pixels) - float(mean.mean(dtype=np.float64))
        self._level = own.astype(np.float32)

    def columns(self, first: int, stop: int, out: Array) -> None:
        """Write values of bins ``first:stop`` to `out`, (rows, stop - first) float32."""
        self._fill(first, self._level, out)

    def uncentred(self) -> Array:
        """Return all values with each frame's own mean left in, (pixels, rows) float32: what Facemap decomposes."""
        values = np.empty((self.rows, self.pixels), np.float32)
        self._fill(0, np.zeros_like(self._level), values)
        return np.ascontiguousarray(values.T)

    def _fill(self, first: int, level: Array, out: Array) -> None:
        fill = _centred_motion if self._movement == "mot" else _centred_frames
        fill(self._sums, first, self._scale, self._mean, level, out)
