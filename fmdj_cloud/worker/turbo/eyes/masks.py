"""Which pixels of an eye's ROI count."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.contracts import Roi

Array = npt.NDArray[Any]

GUI_SATURATION = 255.0
"""Facemap's, where a ROI names none: every pixel counts."""


def inside(roi: Roi) -> Array:
    """Return the pixels of a ROI that lie in its ellipse, (height, width) bool; all of them where it has none."""
    if roi.ellipse is None:
        return np.ones((roi.y1 - roi.y0, roi.x1 - roi.x0), bool)
    return roi.ellipse.to_array()


def reflected(roi: Roi) -> Array:
    """Return the pixels of a ROI in which the lamp is reflected, (height, width) bool.

    Reflections are placed relative to the ROI's corner. What lies beyond the ROI is left out, as Facemap does.
    """
    height, width = roi.y1 - roi.y0, roi.x1 - roi.x0
    mask = np.zeros((height, width), bool)
    for reflector in roi.reflectors:
        y, x = np.nonzero(reflector.ellipse.to_array())
        y, x = y + reflector.y0, x + reflector.x0
        seen = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        mask[y[seen], x[seen]] = True
    return mask


def saturation(roi: Roi) -> float:
    """Return the gray level above which pixels don't count."""
    return GUI_SATURATION if roi.saturation is None else float(roi.saturation)
