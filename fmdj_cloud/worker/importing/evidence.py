"""Facemap's faults as they show in its numbers: pure functions.

A file doesn't say which version wrote it, so that nothing is repaired because it might be wrong.
"""

from __future__ import annotations

import numpy as np

from fmdj_cloud.worker.importing.proc import Array
from fmdj_cloud.worker.svd.repairs import FIRST_CHUNK

_NORM_TOLERANCE = 0.01
_LEAST_FRAMES = 4
_CHANCE = 3.0
"""Standard deviations of a correlation of noise, each 1 / sqrt(n), that say something."""
_PROJECTED = 50
"""First components: they carry most of the energy."""


def is_early(motion: Array, projections: Array | None) -> bool | None:
    """Tell whether a motion trace is one frame early in its first 500 frames (F1).

    The fault leaves a zero in the place of the last of these frames; but a frame that was recorded twice does so, too.
    So the trace must also follow the energy of the motion SVD, which is aligned, better one frame later than as it
    stands (of Facemap's own: correlations of changes of 0.8 to 0.96 against -0.06 to -0.5).

    Parameters
    ----------
    motion : ndarray, shape (n,)
    projections : ndarray, shape (n, c), or None
        Of the same region's motion SVD.

    Returns
    -------
    bool or None
        None where there is the zero, and nothing else that chance wouldn't leave.
    """
    last = min(FIRST_CHUNK, len(motion)) - 1
    if last < 1 or motion[last] != 0 or not np.any(motion[:last]):
        return False
    if projections is None or last < _LEAST_FRAMES:
        return None
    parts = projections[: last + 1, :_PROJECTED].astype(np.float64)
    energy = np.sqrt(np.einsum("nc,nc->n", parts, parts))
    trace = motion[:last].astype(np.float64)
    lead = _likeness(trace, energy[1:]) - _likeness(trace[1:], energy[1:-1])
    return lead > 0 if abs(lead) > _CHANCE / np.sqrt(last) else None


def unit_norms(masks: Array) -> bool:
    """Tell whether every component's mask has unit norm (F5 scales them, F11 leaves them unmerged).

    Parameters
    ----------
    masks : ndarray, shape (y, x, c)
    """
    squares = np.einsum("yxc,yxc->c", masks, masks, dtype=np.float64, casting="same_kind")
    return bool(np.all(np.abs(np.sqrt(squares) - 1) <= _NORM_TOLERANCE))


def _likeness(trace: Array, energy: Array) -> float:
    """Return the correlation of two traces' changes: slow drifts hide a shift by one frame."""
    a, b = np.diff(trace), np.diff(energy)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale > 0 and np.isfinite(scale) else 0.0
