"""Running on blocks: the same wherever they end, given the frame before."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.worker.svd.geometry import Box
from fmdj_cloud.worker.svd.running import Displacement
from fmdj_cloud.worker.turbo.frames import Wanted
from tests.support.turbo import coded

N = 150
CROP = Box(0, 4, 45, 6, 67)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    rng = np.random.default_rng(0)
    surface = np.kron(rng.integers(40, 200, (90, 110), np.uint8), np.ones((2, 2), np.uint8))
    steps = rng.integers(-3, 4, (N, 2)).cumsum(axis=0) % 60
    frames = np.stack([surface[y : y + 48, x : x + 72] for y, x in steps])
    return coded.write(tmp_path_factory.mktemp("running") / "v.avi", frames)


def measured(video, start, stop, size):
    """Return the displacement in frames ``start:stop``, beginning with the frame before."""
    meter, before = Displacement(CROP.height, CROP.width), max(0, start - 1)
    with coded.record(video) as recording:
        blocks = recording.blocks(before, stop, size=size, want=Wanted(binned=False, crops=(CROP,)))
        return np.concatenate([meter.of(block.crops[0]) for block in blocks])[start - before :]


@pytest.mark.parametrize("size", [1, 7, 50, 64, 100])
def test_the_edges_of_blocks_dont_matter(video, size):
    np.testing.assert_array_equal(measured(video, 0, N, size), measured(video, 0, N, 500))


def test_ranges_joined_are_the_whole(video):
    parts = [measured(video, start, stop, 20) for start, stop in ((0, 60), (60, 61), (61, N))]
    np.testing.assert_array_equal(np.concatenate(parts), measured(video, 0, N, 500))
