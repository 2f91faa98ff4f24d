"""People change their mind while a loader or a worker is at work."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from fmdj_cloud.contracts import RunState, Wanted
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger import Ledger
from tests.support.kills import oracle
from tests.support.kills.tripwire import Shot
from tests.support.kills.world import Program, World, eventually

pytestmark = pytest.mark.integration


def _published(world: World) -> dict[str, Any]:
    world.start("controller")
    key = world.insert_task()
    world.until(key, RunState.PUBLISHED)
    return key


def _stopped_loader(world: World, match: str) -> Program:
    loader = world.start("loader", Shot("SIGSTOP", match=match))
    eventually(lambda: loader.is_stopped, f"the stop at {match}")
    return loader


def test_a_cancel_before_the_loaders_first_statement_wins(kills: World) -> None:
    key = _published(kills)
    loader = _stopped_loader(kills, "signals.h5")
    run = kills.run_of(key)

    assert kills.ledger.set_wanted(run.run_id, Wanted.CANCEL)
    loader.send("SIGCONT")

    kills.until(key, RunState.CANCELLED)
    oracle.check_clean(kills)
    assert not len(kills.lab.element.FacemapProcessing & key)
    assert not len(kills.lab.element.FacialSignal & key)


def test_a_cancel_after_the_loaders_first_statement_comes_too_late(kills: World) -> None:
    key = _published(kills)
    loader = _stopped_loader(kills, "statement INSERT INTO")
    run = kills.run_of(key)
    answers: list[bool] = []
    person = threading.Thread(target=_cancel, args=(kills, run.run_id, answers))

    person.start()
    person.join(0.3)
    assert person.is_alive()  # it waits for the loader's transaction
    loader.send("SIGCONT")
    person.join(30)

    assert answers == [False]
    kills.until(key, RunState.LOADED)
    oracle.check_loaded(kills, key)
    oracle.check_clean(kills)


def _cancel(world: World, run_id: str, answers: list[bool]) -> None:
    database = Database(world.settings.database)
    try:
        answers.append(Ledger(database).set_wanted(run_id, Wanted.CANCEL))
    finally:
        database.close()


def test_a_task_edited_while_it_runs_is_computed_anew(kills: World) -> None:
    gate = kills.folder / "gate"
    gate.mkdir()
    kills.environment["FMDJKILL_GATE"] = str(gate)
    kills.start("loader")
    kills.start("controller")
    key = kills.insert_task()
    eventually((gate / "at-a1").exists, "the first worker")
    first = kills.run_of(key)

    kills.lab.element.FacemapTask.update1(key | {"facemap_params": {"sbin": 8}})
    eventually(lambda: kills.run_of(key).run_id != first.run_id, "the new plan")
    (gate / "go").touch()

    kills.until(key, RunState.LOADED)
    oracle.check_loaded(kills, key)
    oracle.check_clean(kills)
    assert kills.ledger.run(first.run_id).state is RunState.SUPERSEDED


def test_a_task_edited_while_it_is_loaded_is_computed_anew(kills: World) -> None:
    key = _published(kills)
    loader = _stopped_loader(kills, "signals.h5")
    first = kills.run_of(key)

    kills.lab.element.FacemapTask.update1(key | {"facemap_params": {"sbin": 8}})
    loader.send("SIGCONT")
    eventually(lambda: kills.run_of(key).run_id != first.run_id, "the new plan")

    kills.until(key, RunState.LOADED)
    oracle.check_loaded(kills, key)
    oracle.check_clean(kills)
    assert kills.ledger.run(first.run_id).state is RunState.SUPERSEDED


def test_a_loader_that_hangs_in_its_transaction_does_not_keep_the_labs_row_locked(kills: World) -> None:
    key = _published(kills)
    loader = _stopped_loader(kills, "statement INSERT INTO")

    kills.lab.element.FacemapTask.update1(key | {"task_description": "edited meanwhile"})  # it waits a second at most
    loader.send("SIGCONT")

    kills.until(key, RunState.LOADED)
    oracle.check_loaded(kills, key)
    oracle.check_clean(kills)
