"""The whole lab in two hundred storms: what a seed says befalls programs and the ways to their servers.

``FMDJ_TEST_SEEDS=5,17`` repeats some.
"""

from __future__ import annotations

import os

import pytest

from tests.support.weather.fixtures import recordings, stormy_cluster_lab, stormy_lab, weather_zygote
from tests.support.weather.lab import StormyLab
from tests.support.weather.on_cluster import StormyCluster
from tests.support.weather.schedule import Target, draw
from tests.support.weather.survive import Recordings, survive

__all__ = ["recordings", "stormy_cluster_lab", "stormy_lab", "weather_zygote"]
pytestmark = pytest.mark.long
_GIVEN = os.environ.get("FMDJ_TEST_SEEDS", "")
SEEDS = [int(seed) for seed in _GIVEN.split(",") if seed] or list(range(200))
SERVERS = ("postgres", "mariadb")
CLUSTER = 60
"""Seeds that the cluster has, too."""
HERE = tuple(target for target in Target if target is not Target.API)


@pytest.mark.parametrize(
    ("seed", "database_server"), [(seed, SERVERS[seed % 2]) for seed in SEEDS], indirect=["database_server"]
)
def test_everything_is_loaded_once_and_right_whatever_befalls_the_lab(
    stormy_lab: StormyLab, recordings: Recordings, seed: int
) -> None:
    events = draw(seed, HERE)
    print(f"seed {seed}: repeat it with FMDJ_TEST_SEEDS={seed}", *events, sep="\n")

    played = survive(stormy_lab, recordings, events)

    print("played:", *played, sep="\n")


@pytest.mark.parametrize(
    ("seed", "database_server"), [(seed, SERVERS[seed % 2]) for seed in SEEDS[:CLUSTER]], indirect=["database_server"]
)
def test_everything_is_loaded_once_and_right_whatever_befalls_a_cluster(
    stormy_cluster_lab: StormyCluster, recordings: Recordings, seed: int
) -> None:
    events = draw(seed, number=10)
    print(f"seed {seed}: repeat it with FMDJ_TEST_SEEDS={seed}", *events, sep="\n")

    played = survive(stormy_cluster_lab, recordings, events)

    print("played:", *played, sep="\n")
