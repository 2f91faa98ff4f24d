"""The basis as Facemap has it: scikit-learn's randomized PCA of each chunk, and of what they give together.

It is here to be compared with, component by component; :mod:`fmdj_cloud.worker.turbo.decompose` is exact, quicker,
and needs less memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def pca_components(matrix: Array, count: int) -> tuple[Array, Array]:
    """Return the components of a matrix as Facemap finds them (Halko, Martinsson and Tropp, 2011; seed 0).

    Parameters
    ----------
    matrix : ndarray of float32, shape (pixels, columns)
    count : int
        Of components, at most.

    Returns
    -------
    components : ndarray of float32, shape (c, pixels)
        Times their singular values.
    singular_values : ndarray of float32, shape (c,)
    """
    from sklearn.decomposition import PCA  # seconds to import, and only this basis needs it

    count = min(count, *matrix.shape)
    found = PCA(n_components=count, svd_solver="randomized", random_state=np.random.RandomState(0))
    scaled = found.fit_transform(matrix)
    return np.ascontiguousarray(scaled.T, np.float32), np.asarray(found.singular_values_, np.float32)
