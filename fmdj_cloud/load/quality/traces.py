"""Measures of one trace."""

from __future__ import annotations

import numpy as np

from fmdj_cloud.signals_h5 import Array


def not_numbers(values: Array) -> int:
    """Return how many values are NaN or infinite."""
    return int(values.size - np.count_nonzero(np.isfinite(values)))


def share_not_numbers(values: Array) -> float:
    """Return the share of values that are NaN or infinite; 0 of none."""
    return not_numbers(values) / max(1, values.size)


def longest_rest(trace: Array) -> float:
    """Return the longest stretch without any change, as a share of all steps from one frame to the next.

    Parameters
    ----------
    trace : ndarray, shape (n,) or (n, k)
        A frame changes where any of its k values does. Frames with a NaN or an infinity are left out.

    Returns
    -------
    float
        0 where no frame equals the one before, 1 where all are equal. A trace without two frames that hold numbers has
        no change either: 1.
    """
    finite = np.isfinite(trace)
    finite = finite.all(axis=1) if trace.ndim > 1 else finite
    rows = trace if finite.all() else trace[finite]
    if len(rows) < 2:
        return 1.0
    changed = rows[1:] != rows[:-1]
    changes = np.flatnonzero(changed.any(axis=1) if trace.ndim > 1 else changed)
    edges = np.concatenate(([-1], changes, [len(rows) - 1]))
    return float((np.diff(edges).max() - 1) / (len(rows) - 1))


def zeros_at_end(trace: Array) -> int:
    """Return how many zeros end a trace, (n,): all of them, if there is nothing else."""
    other = np.flatnonzero(trace != 0)
    return len(trace) if not other.size else len(trace) - 1 - int(other[-1])
