"""Machines whose clocks are an hour apart."""

from __future__ import annotations

import json

import pytest

from fmdj_cloud.contracts import RunState
from tests.support.kills import oracle
from tests.support.kills.world import eventually
from tests.support.weather.lab import StormyLab

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("database_server", ["mariadb"], indirect=True)]
HOUR_S = 3600.0


def test_an_hour_between_the_clocks_of_components_changes_nothing(lab: StormyLab) -> None:
    lab.environment["FMDJKILL_SKEW"] = json.dumps({"worker": HOUR_S, "loader": -HOUR_S, "controller": HOUR_S})
    lab.start("controller")
    lab.start("loader")
    keys = [lab.insert_task() for _ in range(2)]
    for key in keys:
        lab.until(key, RunState.LOADED)

    now = lab.database.now()
    for key in keys:
        oracle.check_loaded(lab, key)
        (attempt,) = lab.ledger.attempts(lab.run_of(key).run_id)
        assert attempt.started <= attempt.finished <= now, "the ledger's times are the database's"
    oracle.check_clean(lab)


def test_a_leader_keeps_its_lease_against_one_whose_clock_is_an_hour_ahead(lab: StormyLab) -> None:
    lab.start("controller")
    eventually(lambda: lab.ledger.leader() is not None, "a leader")
    holder, epoch = lab.ledger.leader()[:2]

    lab.environment["FMDJKILL_SKEW"] = json.dumps({"controller": HOUR_S})
    other = lab.start("controller")
    eventually(lambda: other.said("standing by"), "insight")
    key = lab.insert_task()
    lab.start("loader")
    lab.until(key, RunState.LOADED)

    assert lab.ledger.leader()[:2] == (holder, epoch)
    oracle.check_loaded(lab, key)
    oracle.check_clean(lab)
