"""Components that become masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg

from fmdj_cloud.worker.turbo.decompose import EMPTY

Array = npt.NDArray[Any]

_WEAK = 1e-3
"""Part of the largest singular value below which components from a Gram matrix in single precision lean on each
other: its rounding, some 1e-7, is the square of that."""


def unit(components: Array, singular_values: Array) -> tuple[Array, Array]:
    """Return masks of unit norm, (pixels, c) float32, and their singular values, falling.

    Parameters
    ----------
    components : ndarray of float32, shape (c, pixels)
        Times their singular values; those that carry nothing are left out.
    singular_values : ndarray of float32, shape (c,)
    """
    order = np.argsort(-singular_values, kind="stable")
    order = order[singular_values[order] > EMPTY * singular_values.max(initial=0.0)]
    values = singular_values[order]
    masks = np.ascontiguousarray((components[order] / values[:, np.newaxis]).T)
    if len(values) and values[-1] < _WEAK * values[0]:
        masks = _upright(masks)
    return masks, values


def _upright(masks: Array) -> Array:
    """Return masks that are orthogonal; each keeps what those before it don't have, and its sign."""
    found, triangle = linalg.qr(masks, mode="economic", check_finite=False)
    return np.asarray(found * np.where(np.diagonal(triangle) < 0, -1, 1), np.float32)
