"""The gray levels that become 0 and 1 before the network sees a frame."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_LOW, _HIGH = np.float32(0.01), np.float32(0.99)


def levels(gray: Array) -> tuple[float, float] | None:
    """Return the 1st and 99th percentile of a frame, None if they are equal: then it shows nothing.

    Facemap sorts all pixels; 256 counts say the same. Ranks are kept in single precision, as torch keeps them, so
    that frames of millions of pixels come out the same, too.

    Parameters
    ----------
    gray : ndarray of uint8, shape (height, width)
    """
    counts = cv2.calcHist([gray], [0], None, [256], [0, 256])[:, 0]
    reached = np.cumsum(counts.astype(np.int64))
    low, high = (_quantile(reached, fraction) for fraction in (_LOW, _HIGH))
    return (float(low), float(high)) if high > low else None


def _quantile(reached: npt.NDArray[np.int64], fraction: np.float32) -> np.float32:
    rank = fraction * np.float32(reached[-1] - 1)
    below = np.floor(rank)
    places = (int(below), int(np.ceil(rank)))
    first, second = (np.float32(gray) for gray in np.searchsorted(reached, places, side="right"))
    return np.float32(first + (rank - below) * (second - first))
