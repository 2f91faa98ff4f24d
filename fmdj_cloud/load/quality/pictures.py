"""Measures of the mean frame and of the pupil's area: what can be seen at all."""

from __future__ import annotations

import numpy as np

from fmdj_cloud.signals_h5 import Array

WHITE, BLACK = 254.5, 0.5
"""Gray levels beyond which the mean over all frames is of nothing but 255, or nothing but 0, but for rounding."""


def share_white(frame: Array) -> float:
    """Return the share of a mean frame's pixels that are always saturated."""
    return int(np.count_nonzero(frame >= WHITE)) / max(1, frame.size)


def share_black(frame: Array) -> float:
    """Return the share of a mean frame's pixels that are always black."""
    return int(np.count_nonzero(frame <= BLACK)) / max(1, frame.size)


def share_lost(area: Array, room: float) -> float:
    """Return the share of frames without a pupil: its area is no number, not above zero, or more than there is room.

    Parameters
    ----------
    area : ndarray, shape (n,)
        Pixels.
    room : float
        Pixels of the ROI.
    """
    seen = (area > 0) & (area <= room)  # NaN is neither
    return (area.size - int(np.count_nonzero(seen))) / max(1, area.size)
