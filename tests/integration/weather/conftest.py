"""A lab behind proxies, whose programs are forked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.kills.fixtures import plain_kills
from tests.support.kills.world import World
from tests.support.kills.zygote import Zygote
from tests.support.weather.fixtures import recordings, stormy_cluster_lab, stormy_lab, weather_zygote
from tests.support.weather.lab import StormyLab, stormy

__all__ = ["plain_kills", "recordings", "stormy_cluster_lab", "stormy_lab", "weather_zygote"]


@pytest.fixture
def lab(plain_kills: World, weather_zygote: Zygote) -> Iterator[StormyLab]:
    """A lab without tasks, whose servers are reached through proxies."""
    plain_kills.zygote = weather_zygote
    with stormy(plain_kills) as made:
        yield made


@pytest.fixture
def gated(lab: StormyLab) -> StormyLab:
    """Its workers compute until the file ``go`` is in the folder ``gate``."""
    gate = lab.folder / "gate"
    gate.mkdir()
    lab.environment["FMDJKILL_GATE"] = str(gate)
    return lab
