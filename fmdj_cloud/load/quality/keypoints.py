"""Measures of one body part's points, a slice of frames at a time."""

from __future__ import annotations

import numpy as np

from fmdj_cloud.signals_h5 import Array

BINS = 100
"""Of the histogram of likelihoods."""


class PointMeter:
    """Measures points that come in order of their frames.

    Attributes
    ----------
    frames : int
    empty : int
        Frames without a point: x and y are NaN, the likelihood is 0.
    wrong : int
        Frames whose x or y is no number though they should hold a point.
    beyond : int
        Frames whose likelihood doesn't lie between 0 and 1.
    histogram : ndarray of int64, shape (BINS,)
        Frames by likelihood, in equal bins from 0 to 1.
    """

    def __init__(self, below: float = 0.0) -> None:
        self.frames = self.empty = self.wrong = self.beyond = 0
        self.histogram: Array = np.zeros(BINS, np.int64)
        self._below = below
        self._low = 0
        self._last: Array = np.empty((0, 2), np.float32)
        self._steps = self._rest = self._longest = 0

    def add(self, x: Array, y: Array, likelihood: Array) -> None:
        """Add the next frames, each (frames,) float32."""
        no_point = np.isnan(x) & np.isnan(y) & (likelihood == 0)
        finite = np.isfinite(x) & np.isfinite(y)
        inside = (likelihood >= 0) & (likelihood <= 1)  # NaN is neither
        self.frames += len(x)
        self.empty += _count(no_point)
        self.wrong += _count(~no_point & ~finite)
        self.beyond += _count(~inside)
        self._low += _count(~(likelihood >= self._below))
        self.histogram += np.histogram(likelihood[inside], BINS, (0.0, 1.0))[0]
        self._rest_in(np.stack((x[finite], y[finite]), axis=1))

    @property
    def low(self) -> float:
        """Share of frames whose likelihood is below the limit, or is no number."""
        return self._low / max(1, self.frames)

    @property
    def median(self) -> float:
        """Likelihood that half of the frames reach, to a bin; 0 of none."""
        total = int(self.histogram.sum())
        return float(np.searchsorted(np.cumsum(self.histogram), total / 2)) / BINS if total else 0.0

    @property
    def tenths(self) -> tuple[int, ...]:
        """Frames by tenths of likelihood."""
        return tuple(int(count) for count in self.histogram.reshape(10, -1).sum(axis=1))

    @property
    def rest(self) -> float:
        """Longest stretch in which the point stays where it is, as a share of all steps between frames that hold one.

        As :func:`fmdj_cloud.load.quality.traces.longest_rest`.
        """
        return self._longest / self._steps if self._steps else 1.0

    def _rest_in(self, points: Array) -> None:
        if not len(points):
            return
        points = np.concatenate((self._last, points))
        self._last = points[-1:]
        moves = np.flatnonzero((points[1:] != points[:-1]).any(axis=1))
        steps = len(points) - 1
        self._steps += steps
        if not moves.size:
            self._rest += steps
            self._longest = max(self._longest, self._rest)
            return
        within = int(np.max(np.diff(moves), initial=1)) - 1
        self._longest = max(self._longest, self._rest + int(moves[0]), within)
        self._rest = steps - 1 - int(moves[-1])
        self._longest = max(self._longest, self._rest)


def _count(mask: Array) -> int:
    return int(np.count_nonzero(mask))
