"""Eigenvectors by LAPACK, called without Python's lock."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.worker.turbo.eigen import largest


@given(
    size=st.integers(1, 40),
    count=st.integers(1, 60),
    kind=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_largest_are_those_of_numpy(size, count, kind, seed):
    values = np.random.default_rng(seed).standard_normal((size, 2 * size))
    gram = (values @ values.T).astype(kind)
    expected = np.linalg.eigvalsh(gram.astype(np.float64))[::-1][:count]

    found, vectors = largest(np.triu(gram), count)

    close = 1e-4 if kind is np.float32 else 1e-10
    assert (found.dtype, vectors.dtype, vectors.shape) == (kind, kind, (size, min(size, count)))
    np.testing.assert_allclose(found, expected, atol=close * expected[0])
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(found)), atol=close)
    np.testing.assert_allclose(gram @ vectors, vectors * found, atol=4 * close * expected[0])


def test_what_is_no_number_is_refused():
    with pytest.raises(np.linalg.LinAlgError, match="2 rows"):
        largest(np.full((2, 2), np.nan), 1)
