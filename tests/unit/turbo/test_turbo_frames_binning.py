"""Sums over bins, and the edges of blocks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmdj_cloud.worker.turbo.frames import edges, sum_type
from fmdj_cloud.worker.turbo.frames.binning import add_bins, all_equal
from tests.support.turbo import coded


@settings(max_examples=150, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    pad=st.integers(0, 9),
    sbin=st.integers(1, 33),
    seed=st.integers(0, 9),
)
def test_sums_are_exact_whatever_the_size(height, width, pad, sbin, seed):
    frame = np.random.default_rng(seed).integers(0, 256, (height, width + pad), np.uint8)
    y, x = height // sbin, width // sbin
    out = np.zeros(y * x, sum_type(sbin))
    add_bins(frame, sbin, np.empty(x * sbin, out.dtype), out)
    np.testing.assert_array_equal(out, coded.sums(frame[None, :, :width], sbin)[0])


@pytest.mark.parametrize(("sbin", "kind"), [(1, np.uint8), (2, np.uint16), (16, np.uint16), (17, np.uint32)])
def test_white_frames_overflow_nothing(sbin, kind):
    frame = np.full((sbin, sbin), 255, np.uint8)
    out = np.zeros(1, sum_type(sbin))
    add_bins(frame, sbin, np.empty(sbin, out.dtype), out)
    assert out.dtype == kind
    assert out[0] == 255 * sbin * sbin


def test_padding_is_not_looked_at():
    plane = np.full((5, 8), 128, np.uint8)
    plane[:, 6:] = 0
    assert all_equal(plane, 6, 128)
    plane[4, 5] = 127
    assert not all_equal(plane, 6, 128)


@given(start=st.integers(0, 5000), length=st.integers(1, 5000), size=st.integers(1, 700))
def test_blocks_end_at_multiples_of_their_size(start, length, size):
    stop = start + length
    blocks = edges(start, stop, size)
    assert blocks[0][0] == start
    assert blocks[-1][1] == stop
    assert all(a < b for a, b in blocks)
    assert all(b % size == 0 for _, b in blocks[:-1])
    assert all(first[1] == second[0] for first, second in itertools.pairwise(blocks))


@pytest.mark.parametrize(("start", "stop", "size"), [(3, 3, 5), (-1, 2, 5), (0, 2, 0)])
def test_no_frames_are_an_error(start, stop, size):
    with pytest.raises(ValueError, match="are none"):
        edges(start, stop, size)
