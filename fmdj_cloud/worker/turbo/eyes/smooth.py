"""Outliers of a trace, replaced by its running median."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

WINDOW = 30
_FROM_MEDIAN = 0.5
"""Standard deviations from the running median beyond which a value is an outlier."""
_AT_ONCE = 1 << 16


def smooth(trace: Array) -> Array:
    """Return a trace without outliers, as Facemap's documentation describes it for the pupil's area.

    Where a value is further from the median of the 30 values around it than half the trace's standard deviation, the
    median takes its place. Values that are no number are taken from the medians around them before that. Beyond
    both ends the trace is taken to be zero, which is why the first and last 14 values are often replaced.

    Parameters
    ----------
    trace : ndarray, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)
        Zeros if there isn't any number in the trace.
    """
    whole = np.array(trace, np.float64)
    lost = np.isnan(whole)
    if lost.all():
        return np.zeros(len(whole))
    medians = _running_median(whole)
    if lost.any():
        medians[lost] = np.interp(np.flatnonzero(lost), np.flatnonzero(~lost), medians[~lost])
        whole[lost] = medians[lost]
    outliers = np.abs(whole - medians) > _FROM_MEDIAN * whole.std()
    whole[outliers] = medians[outliers]
    return whole


def _running_median(trace: Array) -> Array:
    """Return the median of the 14 values before each value, itself and the 15 after it, without those that are NaN."""
    before = WINDOW - WINDOW // 2 - 1
    padded = np.pad(trace, (before, WINDOW // 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)
    median = np.nanmedian if np.isnan(trace).any() else np.median
    out = np.empty(len(trace))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)  # told by NaN
        for start in range(0, len(trace), _AT_ONCE):
            out[start : start + _AT_ONCE] = median(windows[start : start + _AT_ONCE], axis=1)
    return out
