"""Facemap's signals put right: pure functions over its arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FIRST_CHUNK = 500
"""Frames that Facemap projects first, and whose motion it stores one frame early (F1)."""
ONE_CHUNK_BELOW = 2000
"""Frames below which the basis comes from a single chunk and keeps its scale (F5)."""
_EMPTY = 1e-6
"""Part of the largest singular value below which a component carries nothing."""
_COLUMNS = 32


def align_motion(motion: Array) -> Array:
    """Return motion energy aligned to its frames: row k is frame k minus frame k-1, row 0 copies row 1 (F1).

    Parameters
    ----------
    motion : ndarray, shape (n,)
        As Facemap 1.0.8 stores it. A trace whose first chunk doesn't end in the zero that the fault leaves
        there is aligned already and comes back as it is.
    """
    last = min(FIRST_CHUNK, len(motion)) - 1
    if motion[last] != 0:
        return motion
    aligned = motion.copy()
    aligned[1 : last + 1] = motion[:last]
    aligned[0] = aligned[1]
    return aligned


def unscale(masks: Array, projections: Array) -> tuple[Array, Array, Array]:
    """Return a basis of unit norm, its projections and its singular values (F5).

    A basis of a single chunk comes out of Facemap as U S: the norms of its columns are the singular values, and
    projections onto it are too large by them. Columns that Facemap left empty are dropped. The arrays given are
    changed in place, to hold no second copy of them.

    Parameters
    ----------
    masks : ndarray of float32, shape (y, x, c)
    projections : ndarray of float32, shape (n, c)

    Returns
    -------
    masks, projections : ndarray
    singular_values : ndarray of float32, shape (c,)
    """
    count = masks.shape[-1]
    norms = np.empty(count, np.float64)
    for start in range(0, count, _COLUMNS):
        columns = masks[..., start : start + _COLUMNS].astype(np.float64)
        norms[start : start + _COLUMNS] = np.sqrt(np.einsum("yxc,yxc->c", columns, columns))
    kept = int(np.count_nonzero(norms > _EMPTY * norms.max(initial=0.0)))
    norms, masks, projections = norms[:kept], masks[..., :kept], projections[:, :kept]
    scale = norms.astype(np.float32)
    masks /= scale
    projections /= scale
    return masks, projections, scale
