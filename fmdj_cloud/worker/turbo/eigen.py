"""Eigenvectors of symmetric matrices without Python's lock, which scipy's own wrapper keeps: threads would wait."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
from numba.extending import get_cython_function_address

Array = npt.NDArray[Any]

_ARGUMENTS = 21
_WORK, _INTEGER_WORK = 26, 10
"""Rows of working space, times n, below which LAPACK refuses; blocks of up to 32 columns have enough of it."""
_BLOCK = 32
_ROUTINES = {
    np.dtype(kind): ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * _ARGUMENTS)(
        get_cython_function_address("scipy.linalg.cython_lapack", name)
    )
    for kind, name in ((np.float32, "ssyevr"), (np.float64, "dsyevr"))
}


def largest(matrix: Array, count: int) -> tuple[Array, Array]:
    """Find the largest eigenvalues of a symmetric matrix by LAPACK's ``?syevr``, in the matrix's precision.

    Parameters
    ----------
    matrix : ndarray of float32 or float64, shape (n, n), C-contiguous
        Only its upper triangle is read; what it holds afterwards is anything.
    count : int
        Of eigenvalues, at most.

    Returns
    -------
    ndarray, shape (c,)
        Eigenvalues, falling.
    ndarray, shape (n, c)
        Their vectors.

    Raises
    ------
    numpy.linalg.LinAlgError
        If LAPACK finds none.
    """
    size = len(matrix)
    count = min(count, size)
    kind = matrix.dtype
    values, vectors = np.empty(size, kind), np.empty((count, size), kind)
    support = np.empty(2 * max(1, count), np.intc)
    work = np.empty((_WORK + _BLOCK) * size, kind)
    integers = np.empty(_INTEGER_WORK * size, np.intc)
    found, failed = np.zeros(1, np.intc), np.zeros(1, np.intc)
    unused = np.zeros(1, kind)
    # to LAPACK a row is a column, and so the upper triangle the lower one
    letters = np.frombuffer(b"VIL", np.uint8)
    numbers = np.array([size, size - count + 1, size, len(work), len(integers)], np.intc)
    n, first, last, work_size, integers_size = (numbers[place:] for place in range(5))
    _ROUTINES[kind](
        *(
            array.ctypes.data
            for array in (
                *(letters[place:] for place in range(3)),
                *(n, matrix, n, unused, unused, first, last, unused, found, values, vectors, n, support),
                *(work, work_size, integers, integers_size, failed),
            )
        )
    )
    if failed[0] or found[0] != count:
        raise np.linalg.LinAlgError(f"LAPACK's syevr failed for a matrix of {size} rows (info {failed[0]})")
    return values[:count][::-1], vectors[::-1].T
