"""Storms of signals with seeds that are new each time: ``FMDJ_TEST_KILL_SEEDS=5,17`` repeats some."""

from __future__ import annotations

import os
import random

import pytest

from tests.support.kills.storm import survive
from tests.support.kills.world import World

pytestmark = pytest.mark.long

_NUMBER = 25
_GIVEN = os.environ.get("FMDJ_TEST_KILL_SEEDS", "")
SEEDS = [int(seed) for seed in _GIVEN.split(",") if seed]


@pytest.mark.parametrize("number", range(len(SEEDS) or _NUMBER))
def test_everything_is_loaded_exactly_once_whoever_is_shot(kills: World, number: int) -> None:
    seed = SEEDS[number] if SEEDS else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}: repeat it with FMDJ_TEST_KILL_SEEDS={seed}")

    trips = survive(kills, seed, tasks=3, shots=4)

    assert trips
    print(*trips, sep="\n")
