"""Programs that are cut off from a server that others reach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fmdj_cloud.contracts import RunState
from tests.support.kills import oracle
from tests.support.kills.world import World, eventually
from tests.support.kills.zygote import Zygote
from tests.support.weather.lab import StormyLab, stormy

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("database_server", ["postgres"], indirect=True)]


@pytest.fixture
def near(plain_kills: World, weather_zygote: Zygote) -> World:
    """The lab without a proxy: for those who are not cut off."""
    plain_kills.zygote = weather_zygote
    return plain_kills


@pytest.fixture
def far(near: World) -> Iterator[StormyLab]:
    """The same lab, for those who may be."""
    with stormy(near) as made:
        yield made


def test_a_leader_that_is_cut_off_from_the_database_is_followed_and_changes_nothing_when_it_is_back(
    far: StormyLab, near: World
) -> None:
    gate = near.folder / "gate"
    gate.mkdir()
    near.environment["FMDJKILL_GATE"] = str(gate)
    stale = far.start("controller")
    near.start("loader")
    key = near.insert_task()
    eventually((gate / "at-a1").exists, "the worker")
    epoch = near.ledger.leader()[1]

    far.to_database.change(silent=True)  # half open: nobody is told
    near.start("controller")
    eventually(lambda: (near.ledger.leader() or ("", 0))[1] > epoch, "another leader")
    (gate / "go").touch()
    near.until(key, RunState.LOADED)
    far.to_database.change(silent=False)
    far.to_database.cut()

    eventually(lambda: stale.said("standing by"), "insight")
    later = near.insert_task()
    near.until(later, RunState.LOADED)
    for one in (key, later):
        oracle.check_loaded(near, one)
    oracle.check_clean(near)
    assert near.run_of(key).attempt == 1


def test_a_loader_that_is_cut_off_in_its_transaction_keeps_nobody_waiting(far: StormyLab, near: World) -> None:
    near.start("controller")
    key = near.insert_task()
    near.until(key, RunState.PUBLISHED)
    far.to_database.change(delay_s=0.05)  # slow enough to be met in the middle
    cut_off = far.start("loader")
    eventually(lambda: _loads(near), "a transaction")
    far.to_database.change(silent=True, delay_s=0.0)

    near.start("loader")
    near.until(key, RunState.LOADED)
    far.to_database.change(silent=False)
    far.to_database.cut()

    oracle.check_loaded(near, key)
    oracle.check_clean(near)
    assert cut_off.process.poll() == 0


def _loads(world: World) -> list[str]:
    return oracle._transactions(world)


def test_a_controller_that_is_cut_off_from_the_store_goes_on_when_it_is_back(far: StormyLab) -> None:
    far.to_store.change(refusing=True)
    far.start("controller")
    far.start("loader")
    key = far.insert_task()
    eventually(lambda: far.ledger.leader() is not None, "a leader")

    far.to_store.change(refusing=False)
    far.until(key, RunState.LOADED)

    oracle.check_loaded(far, key)
    oracle.check_clean(far)
