"""How much of an eye is darker than its lid."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.contracts import Roi
from fmdj_cloud.worker.turbo.compiled import compiled
from fmdj_cloud.worker.turbo.eyes.masks import inside, saturation

Array = npt.NDArray[Any]


def measure_blink(crops: Array, roi: Roi) -> Array:
    """Return the blink trace of some frames: how far pixels lie below the saturation, summed over the ellipse.

    Facemap's documentation calls it an area; what it computes weights each pixel by its depth. Its value is exact
    wherever the saturation is a multiple of 2^-20.

    Parameters
    ----------
    crops : ndarray of uint8, shape (n, height, width)
        Gray levels of the ROI's box.
    roi : Roi

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    level = saturation(roi)
    counts = np.zeros((len(crops), 256), np.int64)
    _count(np.ascontiguousarray(crops), inside(roi), counts)
    depth = np.clip(level - np.arange(256), 0, None)
    return counts @ depth


@compiled
def _count(crops: Array, mask: Array, counts: Array) -> None:
    """Count the gray levels under a mask, frame by frame."""
    for number in range(crops.shape[0]):
        for y in range(crops.shape[1]):
            for x in range(crops.shape[2]):
                if mask[y, x]:
                    counts[number, crops[number, y, x]] += 1
