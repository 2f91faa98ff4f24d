"""The SVD by the small Gram matrix, against numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.worker.turbo.decompose import PIECE, Held, components
from fmdj_cloud.worker.turbo.masks import unit
from fmdj_cloud.worker.turbo.team import Team


def matrix(rows: int, pixels: int, decay: float = 0.9, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    size = min(rows, pixels)
    left = np.linalg.qr(rng.normal(size=(rows, size)))[0]
    right = np.linalg.qr(rng.normal(size=(pixels, size)))[0]
    return (left * decay ** np.arange(size) @ right.T).astype(np.float32)


def found(values: np.ndarray, count: int, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    out = np.empty((count, values.shape[1]), np.float32)
    with Team(threads) as team:
        sizes = components(Held([values]), count, team, lambda number: out[:number])
    return out[: len(sizes)], sizes


@pytest.mark.parametrize("shape", [(40, 9000), (300, 70), (60, 60), (1100, 5000)])
def test_components_are_those_of_the_svd(shape):
    values = matrix(*shape)
    made, sizes = found(values, 20)
    _, true_sizes, right = np.linalg.svd(values.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(sizes, true_sizes[:20], rtol=1e-4)
    likeness = np.abs(np.einsum("ij,ij->i", made / sizes[:, None], right[:20]))
    np.testing.assert_allclose(likeness, 1, atol=1e-5)


@pytest.mark.parametrize("shape", [(40, 9000), (300, 70)])
def test_signs_make_the_largest_entry_over_rows_positive(shape):
    values = matrix(*shape)
    made, _ = found(values, 10)
    over_rows = values @ made.T
    assert (over_rows[np.abs(over_rows).argmax(axis=0), np.arange(10)] > 0).all()


def test_threads_change_nothing():
    values = matrix(50, 3 * PIECE + 5)
    for one, two in zip(found(values, 20, threads=1), found(values, 20, threads=3), strict=True):
        np.testing.assert_array_equal(one, two)


def test_rows_in_several_parts_are_one_matrix():
    values = matrix(50, 500)
    held = Held([values[:20], values[20:21], values[21:]])
    assert (held.rows, held.pixels) == (50, 500)
    found = np.empty((held.rows, 100), np.float32)
    held.columns(100, 200, found)
    np.testing.assert_array_equal(found, values[:, 100:200])


@pytest.mark.parametrize("shape", [(40, 9000), (300, 70)])
def test_of_nothing_there_are_no_components(shape):
    made, sizes = found(np.zeros(shape, np.float32), 20)
    assert len(made) == len(sizes) == 0


def test_there_are_no_more_components_than_the_rank():
    values = matrix(40, 9000)
    low = (values[:, :3] @ values[:3]).astype(np.float32)
    made, sizes = found(low, 20)
    assert unit(made, sizes)[0].shape == (9000, 3)


def test_weak_components_are_made_orthogonal():
    values = matrix(60, 2000, decay=0.6)
    made, sizes = found(values, 25)
    masks, kept = unit(made, sizes)
    assert kept[-1] < 1e-4 * kept[0]
    np.testing.assert_allclose(masks.T @ masks, np.eye(len(kept)), atol=1e-5)
    likeness = np.abs(np.einsum("ij,ij->j", masks[:, :8], np.linalg.svd(values)[2][:8].T))
    np.testing.assert_allclose(likeness, 1, atol=1e-4)
