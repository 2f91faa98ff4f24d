"""Long traces in few columns of pixels: the least and the greatest value of each column, so that no extreme is lost.

Taking every n-th frame, or means, hides blinks and spikes; a pair of extremes per column shows what a plot of all
frames on that many pixels would show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
SLICE_FRAMES = 1 << 16
"""Read at a time: half a MiB of a trace of float64."""


class Envelope:
    """Collects a trace in slices; pure but for what it has collected.

    Parameters
    ----------
    nframes : int
        Of the whole trace.
    columns : int
        At most; a shorter trace has a column per frame. Frame k belongs to column ``k * columns // nframes``.

    Attributes
    ----------
    columns : int
    low, high : ndarray of float64, shape (columns,)
        Least and greatest value of each column; NaN where it has none.
    missing : int
        Frames so far whose value is no finite number.
    """

    def __init__(self, nframes: int, columns: int) -> None:
        if nframes < 0 or columns < 1:
            raise ValueError(f"a trace of {nframes} frames can't be drawn in {columns} columns")
        self._nframes = nframes
        self.columns = min(nframes, columns)
        self.low = np.full(self.columns, np.nan)
        self.high = np.full(self.columns, np.nan)
        self.missing = 0
        self._sum = 0.0
        self._count = 0

    @property
    def mean(self) -> float:
        """Mean of all finite values so far, 0 if there is none."""
        return self._sum / self._count if self._count else 0.0

    @property
    def positions(self) -> Array:
        """First frame of each column, int64."""
        return -(-np.arange(self.columns, dtype=np.int64) * self._nframes // max(self.columns, 1))

    def add(self, start: int, values: Array) -> None:
        """Add the values of frames ``start:start + len(values)``, which hasn't been done before.

        Parameters
        ----------
        start : int
        values : ndarray, shape (frames,)
        """
        if start < 0 or start + len(values) > self._nframes or values.ndim != 1:
            raise ValueError(f"values {values.shape} from frame {start} on aren't part of {self._nframes} frames")
        if not len(values):
            return
        values = np.asarray(values, np.float64)
        finite = np.isfinite(values)
        self.missing += int(len(values) - finite.sum())
        self._count += int(finite.sum())
        self._sum += float(values[finite].sum())
        values = np.where(finite, values, np.nan)
        first = start * self.columns // self._nframes
        last = (start + len(values) - 1) * self.columns // self._nframes
        numbers = np.arange(first, last + 1, dtype=np.int64)
        begins = np.maximum(-(-numbers * self._nframes // self.columns), start) - start
        some = slice(first, last + 1)
        # fmin and fmax leave NaN out wherever there is a number
        self.low[some] = np.fmin(self.low[some], np.fmin.reduceat(values, begins))
        self.high[some] = np.fmax(self.high[some], np.fmax.reduceat(values, begins))


def envelope(read: Callable[[int, int], Array], nframes: int, columns: int, step: int = SLICE_FRAMES) -> Envelope:
    """Return the envelope of a trace that is read slice by slice.

    Parameters
    ----------
    read : callable
        ``read(start, stop)`` returns frames ``start:stop``, (frames,).
    nframes, columns : int
    step : int
        Frames in memory at a time.
    """
    found = Envelope(nframes, columns)
    for start in range(0, nframes, step):
        found.add(start, read(start, min(start + step, nframes)))
    return found
