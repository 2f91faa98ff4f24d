"""Two controllers, one of which was stopped while it led and wakes up when another leads."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import RunState
from tests.support.kills import oracle
from tests.support.kills.tripwire import Shot
from tests.support.kills.world import World, eventually

pytestmark = pytest.mark.integration


def test_nothing_that_a_stale_leader_does_counts(kills: World) -> None:
    match = f"PUT /{kills.bucket.removeprefix('s3://')}/processed"  # the spec, right before it launches
    gate = kills.folder / "gate"
    gate.mkdir()
    kills.environment["FMDJKILL_GATE"] = str(gate)
    kills.start("loader")
    stale = kills.start("controller", Shot("SIGSTOP", match=match))
    key = kills.insert_task()
    eventually(lambda: stale.is_stopped, "the stop")
    epoch = kills.ledger.leader()[1]

    kills.start("controller")
    eventually((gate / "at-a1").exists, "the launch by the other controller")
    stale.send("SIGCONT")
    eventually(lambda: "leads; standing by" in stale.log.read_text() or "goes on" in stale.log.read_text(), "insight")
    assert kills.ledger.leader()[1] == epoch + 1
    (gate / "go").touch()
    kills.until(key, RunState.LOADED)

    oracle.check_loaded(kills, key)
    oracle.check_clean(kills)
    assert kills.run_of(key).attempt == 1


def test_a_leader_stopped_inside_a_transaction_does_not_hold_the_next_one_up(kills: World) -> None:
    kills.start("loader")
    # it has locked the leader's row, and maybe a run's
    stale = kills.start("controller", Shot("SIGSTOP", step=4, match="statement COMMIT"))
    eventually(lambda: stale.is_stopped, "the stop")
    key = kills.insert_task()

    kills.start("controller")
    kills.until(key, RunState.LOADED)
    stale.send("SIGCONT")

    oracle.check_loaded(kills, key)
    oracle.check_clean(kills)
