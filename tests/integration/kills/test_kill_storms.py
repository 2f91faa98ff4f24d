"""SIGKILL, SIGTERM and SIGSTOP of everything, at points that a seed chooses: see tests/long for many seeds."""

from __future__ import annotations

import pytest

from tests.support.kills.storm import survive
from tests.support.kills.world import World

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("seed", [1, 2])
def test_everything_is_loaded_exactly_once_whoever_is_shot(kills: World, seed: int) -> None:
    trips = survive(kills, seed, shots=2)

    assert trips
    print(*trips, sep="\n")
