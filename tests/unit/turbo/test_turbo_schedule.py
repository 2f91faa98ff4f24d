"""Which frames make mean and basis, as Facemap was seen to read them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.worker.turbo.schedule import basis_chunks, mean_runs, sampled

files = st.lists(st.integers(2, 3000), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("frames", "starts", "length"),
    [
        ([2600], [0, 277, 555, 833, 1111, 1388, 1666, 1944, 2222, 2500], 100),
        ([700, 900, 450], [0, 216, 433, 650, 866, 1083, 1300, 1516, 1733, 1950], 100),
        ([17500], [0, 1933, 3866, 5800, 7733, 9666, 11600, 13533, 15466, 17400], 100),
        ([60, 40], [0, 60], 40),
        ([2], [0], 2),
    ],
)
def test_runs_of_the_mean(frames, starts, length):
    assert mean_runs(frames) == tuple((start, start + length) for start in starts)


@pytest.mark.parametrize(
    ("nframes", "starts", "length"),
    [
        (100, [0], 100),
        (1999, [0], 1000),
        (2600, [0, 1599], 1000),
        (2050, [0, 1049], 1000),
        (17500, [0, 1178, 2357, 3535, 4714, 5892, 7071, 8249, 9428, 10606, 11785, 12963, 14142, 15320, 16499], 1000),
    ],
)
def test_chunks_of_the_basis(nframes, starts, length):
    assert basis_chunks(nframes) == tuple((start, start + length) for start in starts)


@given(files)
def test_runs_lie_within_the_recording_and_apart(frames):
    runs = mean_runs(frames)
    assert runs[0][0] == 0
    assert runs[-1][1] <= sum(frames)
    assert all(stop <= start for (_, stop), (start, _) in itertools.pairwise(runs))
    assert 2 <= runs[0][1] - runs[0][0] <= min(frames)


@given(files, st.booleans())
def test_what_is_sampled_is_read_once(frames, basis):
    ranges = sampled(frames, basis=basis)
    chosen = {*mean_runs(frames), *(basis_chunks(sum(frames)) if basis else ())}
    read = [frame for start, stop in ranges for frame in range(start, stop)]
    assert len(read) == len(set(read)) <= 16_000
    assert set(read) == {frame for start, stop in chosen for frame in range(start, stop)}
    assert read == sorted(read)
