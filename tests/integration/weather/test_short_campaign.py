"""A few of the storms of tests/long, which show most of what can happen."""

from __future__ import annotations

import pytest

from tests.support.weather.lab import StormyLab
from tests.support.weather.on_cluster import StormyCluster
from tests.support.weather.schedule import Target, draw
from tests.support.weather.survive import Recordings, survive

pytestmark = pytest.mark.integration
HERE = tuple(target for target in Target if target is not Target.API)


@pytest.mark.parametrize(("seed", "database_server"), [(0, "postgres")], indirect=["database_server"])
def test_everything_is_loaded_once_and_right_whatever_befalls_the_lab(
    stormy_lab: StormyLab, recordings: Recordings, seed: int
) -> None:
    played = survive(stormy_lab, recordings, draw(seed, HERE))

    assert len(played) == len(draw(seed, HERE))


@pytest.mark.parametrize("database_server", ["postgres"], indirect=True)
def test_everything_is_loaded_once_and_right_whatever_befalls_a_cluster(
    stormy_cluster_lab: StormyCluster, recordings: Recordings
) -> None:
    events = draw(2, number=10)

    assert len(survive(stormy_cluster_lab, recordings, events)) == len(events)
