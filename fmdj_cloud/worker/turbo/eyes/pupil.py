"""Size and place of a pupil.

The method is that of Facemap's documentation: how far pixels lie below the saturation is taken for the density of a
Gaussian; its mean and covariance are fitted again and again, each time without the pixels whose squared distance,
normalized by the covariance, is more than 2 sigma^2; the pupil is the ellipse at sigma standard deviations. Constants
that the documentation leaves open were found by measuring Facemap 1.0.8 on made-up pictures: six fits, 0.01 square
pixels added to the variances, axes of which neither is more than twice the other, and reflections of the lamp that
within 1.15 sigma^2 are given 1.1 times the median of what lies within sigma^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.contracts import Roi
from fmdj_cloud.worker.turbo.compiled import compiled
from fmdj_cloud.worker.turbo.eyes.masks import inside, reflected, saturation
from fmdj_cloud.worker.turbo.eyes.smooth import smooth

Array = npt.NDArray[Any]

GUI_SIGMA = 2.5
"""Standard deviations of the pupil's edge, where a ROI names none."""
_FITS = 6
_LEAST_VARIANCE = 0.01
_OUTSIDE = 2.0
"""Of sigma squared: pixels beyond aren't the pupil's."""
_FILLED = 1.15
"""Of sigma squared: reflections within it are filled."""
_TAKEN = 1.0
"""Of sigma squared: pixels within it tell with what."""
_FILL = 1.1
_LONGEST = 4.0
"""Times the shorter axis squared."""


@dataclass(frozen=True)
class PupilTrace:
    """What was measured of a pupil; NaN where nothing was left to fit.

    Attributes
    ----------
    area : ndarray of float64, shape (n,)
        Square pixels.
    com : ndarray of float64, shape (n, 2)
        Centre, y and x relative to the ROI's corner.
    axdir : ndarray of float64, shape (n, 2, 2)
        Directions of the axes, as Facemap keeps them.
    axlen : ndarray of float64, shape (n, 2)
        Squared half-lengths of the axes.
    """

    area: Array
    com: Array
    axdir: Array
    axlen: Array


def measure_pupil(crops: Array, roi: Roi) -> PupilTrace:
    """Measure a pupil in some frames.

    Parameters
    ----------
    crops : ndarray of uint8, shape (n, height, width)
        Gray levels of the ROI's box.
    roi : Roi
    """
    sigma = GUI_SIGMA if roi.pupil_sigma is None else float(roi.pupil_sigma)
    com = np.empty((len(crops), 2))
    covariance = np.empty((len(crops), 2, 2))
    hidden = reflected(roi)
    counted = inside(roi) & ~hidden
    reflections = np.argwhere(hidden).astype(np.float64)
    _fit(np.ascontiguousarray(crops), counted, reflections, saturation(roi), sigma**2, com, covariance)
    found = np.isfinite(covariance).all(axis=(1, 2))
    com[~found] = np.nan
    axlen, axdir = np.full((len(crops), 2), np.nan), np.full((len(crops), 2, 2), np.nan)
    if found.any():
        values, vectors = np.linalg.eig(sigma**2 * covariance[found])
        shorter = values.min(axis=1, keepdims=True)
        axlen[found] = np.minimum(values, _LONGEST * shorter)[:, ::-1]
        axdir[found] = vectors[:, :, ::-1]
    return PupilTrace(area=np.pi * np.sqrt(axlen.prod(axis=1)), com=com, axdir=axdir, axlen=axlen)


def join_pupil(parts: Sequence[PupilTrace]) -> PupilTrace:
    """Return the trace of consecutive pieces of a video."""
    return PupilTrace(
        area=np.concatenate([part.area for part in parts]),
        com=np.concatenate([part.com for part in parts]),
        axdir=np.concatenate([part.axdir for part in parts]),
        axlen=np.concatenate([part.axlen for part in parts]),
    )


def smooth_pupil(trace: PupilTrace) -> dict[str, Array]:
    """Return all that Facemap keeps of a pupil over a whole recording, by the names that it gives them."""
    return {
        "area": trace.area,
        "com": trace.com,
        "axdir": trace.axdir,
        "axlen": trace.axlen,
        "area_smooth": smooth(trace.area),
        "com_smooth": np.stack([smooth(trace.com[:, axis]) for axis in (0, 1)], axis=1),
    }


@compiled
def _median(counts: Array, level: float) -> float:
    """Return the median of weights, of which the lowest are 0: `counts` of the gray levels they stand for, and of 0."""
    taken = counts.sum()
    lower = upper = np.nan
    seen = 0
    for gray in range(256, -1, -1):
        weight = 0.0 if gray == 256 else level - gray
        if seen <= (taken - 1) // 2 < seen + counts[gray]:
            lower = weight
        if seen <= taken // 2 < seen + counts[gray]:
            upper = weight
        seen += counts[gray]
    return (lower + upper) / 2


@compiled
def _fit(
    crops: Array, counted: Array, reflections: Array, level: float, squared: float, com: Array, covariance: Array
) -> None:
    """Fit a Gaussian to every frame.

    Parameters
    ----------
    crops : ndarray of uint8, shape (n, height, width)
    counted : ndarray of bool, shape (height, width)
    reflections : ndarray of float64, shape (m, 2)
        y and x of pixels whose value isn't known.
    level : float
        Saturation.
    squared : float
        sigma^2.
    com : ndarray of float64, shape (n, 2)
        Taken to hold the mean.
    covariance : ndarray of float64, shape (n, 2, 2)
        Taken to hold the covariance, NaN where there is nothing to fit.
    """
    frames, height, width = crops.shape
    # y, x, weight, squared distance of the pixels that are left; reflections are kept apart
    ys, xs = np.empty(height * width), np.empty(height * width)
    weights, distances = np.empty(height * width), np.empty(height * width)
    counts = np.zeros(257, np.int64)
    filled = np.empty(len(reflections), np.bool_)
    for frame in range(frames):
        left = 0
        for y in range(height):
            for x in range(width):
                if counted[y, x] and crops[frame, y, x] < level:
                    ys[left], xs[left], weights[left] = y, x, level - crops[frame, y, x]
                    left += 1
        filled[:] = False
        fill = 0.0
        cy = cx = 0.0
        vyy = vxx = vyx = np.nan
        for fit in range(_FITS):
            # In one pass: moments about the centre of the last fit, which is near enough for none to cancel out
            total, my, mx, myy, mxx, myx = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            near_y, near_x = (cy, cx) if fit else (height / 2, width / 2)
            for k in range(left):
                weight, dy, dx = weights[k], ys[k] - near_y, xs[k] - near_x
                total += weight
                my += weight * dy
                mx += weight * dx
                myy += weight * dy * dy
                mxx += weight * dx * dx
                myx += weight * dy * dx
            for k in range(len(reflections)):
                if filled[k]:
                    dy, dx = reflections[k, 0] - near_y, reflections[k, 1] - near_x
                    total += fill
                    my += fill * dy
                    mx += fill * dx
                    myy += fill * dy * dy
                    mxx += fill * dx * dx
                    myx += fill * dy * dx
            if not total > 0:
                # A frame without a dark pixel has a pupil without extent, unless reflections were to be filled
                vyy = vxx = _LEAST_VARIANCE if fit == 0 and len(reflections) == 0 else np.nan
                vyx = 0.0
                break
            my, mx = my / total, mx / total
            cy, cx = near_y + my, near_x + mx
            vyy = myy / total - my * my + _LEAST_VARIANCE
            vxx = mxx / total - mx * mx + _LEAST_VARIANCE
            vyx = myx / total - my * mx
            if fit == _FITS - 1:
                break
            scale = 1 / (vyy * vxx - vyx * vyx)
            counts[:] = 0
            for k in range(left):
                dy, dx = ys[k] - cy, xs[k] - cx
                distances[k] = (vxx * dy * dy - 2 * vyx * dy * dx + vyy * dx * dx) * scale
                if len(reflections) and distances[k] < _TAKEN * squared:
                    counts[int(level - weights[k] + 0.5) if weights[k] > 0 else 256] += 1
            if len(reflections):
                fill = _FILL * _median(counts, level)
                for k in range(len(reflections)):
                    dy, dx = reflections[k, 0] - cy, reflections[k, 1] - cx
                    filled[k] = (vxx * dy * dy - 2 * vyx * dy * dx + vyy * dx * dx) * scale < _FILLED * squared
            stay = 0
            for k in range(left):
                if distances[k] <= _OUTSIDE * squared:
                    ys[stay], xs[stay], weights[stay] = ys[k], xs[k], weights[k]
                    stay += 1
                elif len(reflections):  # if it comes to lie within the pupil again, it counts for the median: as 0
                    ys[stay], xs[stay], weights[stay] = ys[k], xs[k], 0.0
                    stay += 1
            left = stay
        com[frame, 0], com[frame, 1] = cy, cx
        covariance[frame, 0, 0], covariance[frame, 1, 1] = vyy, vxx
        covariance[frame, 0, 1] = covariance[frame, 1, 0] = vyx
