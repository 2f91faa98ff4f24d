"""Facemap's arrays put right."""

import numpy as np
import pytest

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.worker.svd.faults import FAULTS, Fault, faults_of
from fmdj_cloud.worker.svd.repairs import align_motion, unscale


def as_facemap_stores(true: np.ndarray) -> np.ndarray:
    """Return motion with the fault: row k of the first chunk is that of frame k + 1, its last is never set."""
    stored = true.copy()
    last = min(500, len(true)) - 1
    stored[:last] = true[1 : last + 1]
    stored[last] = 0
    return stored


@pytest.mark.parametrize("n", [2, 3, 499, 500, 501, 1200])
def test_motion_is_shifted_to_its_frames(n):
    true = np.random.default_rng(n).uniform(10, 20, n).astype(np.float32)
    true[0] = true[1]
    np.testing.assert_array_equal(align_motion(as_facemap_stores(true)), true)


def test_motion_without_the_fault_stays_as_it_is():
    true = np.random.default_rng(0).uniform(10, 20, 900)
    assert align_motion(true) is true


def test_a_scaled_basis_gets_unit_norm_and_its_singular_values():
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.normal(size=(48, 5)))[0].astype(np.float32)
    s = np.array([900, 90, 9, 0.9, 0], np.float32)
    data = rng.normal(size=(30, 48)).astype(np.float32)
    masks, projections, values = unscale((basis * s).reshape(6, 8, 5), data @ (basis * s))
    np.testing.assert_allclose(values, s[:4], rtol=1e-5)
    np.testing.assert_allclose(masks.reshape(48, 4), basis[:, :4], atol=1e-5)
    np.testing.assert_allclose(projections, data @ basis[:, :4], rtol=1e-3, atol=1e-4)


def test_a_basis_without_anything_in_it_is_empty():
    masks, projections, values = unscale(np.zeros((2, 3, 4), np.float32), np.zeros((9, 4), np.float32))
    assert (masks.shape, projections.shape, values.shape) == ((2, 3, 0), (9, 0), (0,))


def test_faults_are_keyed_by_version():
    assert faults_of("1.0.8", allow_unknown=False) == frozenset(Fault)


def test_an_unknown_version_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"Facemap 1\.0\.9 is installed.*1\.0\.8"):
        faults_of("1.0.9", allow_unknown=False)


def test_an_unknown_version_that_is_allowed_counts_as_the_latest_known():
    assert faults_of("9.9", allow_unknown=True) == FAULTS["1.0.8"]
