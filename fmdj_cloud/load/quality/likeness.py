"""How alike two traces are, and whether one is a frame early: what the loader and the audit ask."""

from __future__ import annotations

import numpy as np

from fmdj_cloud.signals_h5 import Array

FIRST_CHUNK = 500
"""Frames that Facemap projects first, and whose motion it stores one frame early (F1)."""
_TOLERANCE = 1e-3
"""Of the largest value: what single precision, rescaling and another machine's libraries leave."""
_SAME = 0.999
_LEAST_FRAMES = 8


def close(one: Array, other: Array) -> bool:
    """Tell whether two traces are the same, also in where they hold no number."""
    if one.shape != other.shape:
        return False
    scale = float(np.max(np.abs(other), initial=0.0, where=np.isfinite(other)))
    return bool(np.allclose(one, other, rtol=0, atol=_TOLERANCE * scale, equal_nan=True))


def same_course(one: Array, other: Array) -> bool:
    """Tell whether two time courses are the same but for sign and scale."""
    if one.shape != other.shape or one.size < _LEAST_FRAMES:
        return False
    return abs(_correlation(one, other)) > _SAME


def is_early(motion: Array, aligned: Array) -> bool:
    """Tell whether a motion trace is an aligned one as Facemap stores it: one frame early in its first 500 (F1)."""
    last = min(FIRST_CHUNK, len(aligned)) - 1
    if last < 1 or motion.shape != aligned.shape or motion[last] != 0:
        return False
    shifted = np.array(aligned)
    shifted[:last], shifted[last] = aligned[1 : last + 1], 0
    return close(motion, shifted)


def seems_early(motion: Array, energy: Array | None) -> bool:
    """Tell whether a motion trace follows its motion SVD's energy better one frame later, in the first 500 frames.

    Parameters
    ----------
    motion : ndarray, shape (n,)
    energy : ndarray, shape (n,), or None
        Without it, the zero that the fault leaves in frame 499 decides alone.
    """
    last = min(FIRST_CHUNK, len(motion)) - 1
    if last < 1 or motion[last] != 0 or not np.any(motion[:last]):
        return False
    if energy is None or last < _LEAST_FRAMES or len(energy) != len(motion):
        return True
    return likeness(motion[:last], energy[1 : last + 1]) > likeness(motion[1:last], energy[1:last])


def likeness(one: Array, other: Array) -> float:
    """Return the correlation of two traces' changes: slow drifts make all motion alike."""
    if one.shape != other.shape or one.size < _LEAST_FRAMES:
        return 0.0
    return _correlation(np.diff(one.astype(np.float64)), np.diff(other.astype(np.float64)))


def followed(motion: Array, energy: Array) -> float:
    """Return how well a motion trace follows a motion SVD's energy, as it stands or put right where F1 shows."""
    last = min(FIRST_CHUNK, len(motion)) - 1
    found = likeness(motion, energy)
    if last < 1 or motion[last] != 0:
        return found
    aligned = np.array(motion)
    aligned[1 : last + 1], aligned[0] = motion[:last], motion[0]
    return max(found, likeness(aligned, energy))


def smoothness(trace: Array) -> float:
    """Return the correlation of a trace with itself one frame later."""
    return _correlation(trace[1:], trace[:-1]) if len(trace) > _LEAST_FRAMES else 1.0


def _correlation(one: Array, other: Array) -> float:
    a, b = one.astype(np.float64), other.astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale > 0 and np.isfinite(scale) else 0.0
