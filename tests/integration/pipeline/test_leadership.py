"""Leadership, the first-start brake and requests, seen from two connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from fmdj_cloud.contracts import Engine, RunState
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger import Ledger

from .conftest import SHA, World

pytestmark = pytest.mark.integration
Connect = Callable[[], Database]


def test_one_leads_at_a_time(database: Database, connect: Connect) -> None:
    mine, other = Ledger(database), Ledger(connect())
    assert mine.leader() is None
    assert mine.acquire("me", 60) == 1
    assert other.acquire("other", 60) is None
    assert mine.acquire("me", 60) == 1  # still me
    assert mine.renew("me", 1, 60)
    leader = other.leader()
    assert leader is not None
    assert leader[:2] == ("me", 1)
    assert 50 < (leader[2] - database.now()).total_seconds() <= 60


def test_a_lease_that_ran_out_goes_to_whoever_asks_first(database: Database, connect: Connect) -> None:
    mine, other = Ledger(database), Ledger(connect())
    assert mine.acquire("me", 0.2) == 1
    time.sleep(0.3)
    assert mine.leader() is None
    assert not mine.renew("me", 1, 60)  # too late, even if nobody else leads
    assert other.acquire("other", 60) == 2
    assert mine.acquire("me", 60) is None
    assert not mine.renew("me", 1, 60)
    assert not mine.renew("me", 2, 60)
    assert other.renew("other", 2, 60)


def test_the_epoch_rises_even_if_the_same_process_lost_its_lease(database: Database) -> None:
    ledger = Ledger(database)
    assert ledger.acquire("me", 0.1) == 1
    time.sleep(0.2)
    assert ledger.acquire("me", 60) == 2


def test_resigning_makes_room_at_once(database: Database, connect: Connect) -> None:
    mine, other = Ledger(database), Ledger(connect())
    assert mine.acquire("me", 60) == 1
    mine.resign("me", 7)  # another epoch: nothing happens
    assert mine.leader() is not None
    mine.resign("me", 1)
    assert mine.leader() is None
    assert other.acquire("other", 60) == 2


def test_of_many_that_ask_at_once_one_leads(database: Database, connect: Connect) -> None:
    Ledger(database)
    ledgers = [Ledger(connect()) for _ in range(6)]
    epochs: list[int | None] = []
    threads = [
        threading.Thread(target=lambda i=i, x=x: epochs.append(x.acquire(f"p{i}", 60))) for i, x in enumerate(ledgers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(epochs, key=str) == [1, None, None, None, None, None]


def test_a_new_leader_waits_for_changes_of_the_old_one_under_way(world: World, connect: Connect) -> None:
    """What the old leader began is committed before the new one leads; after that it can't begin anything."""
    old = world.ledger.acquire("old", 0.2)
    assert old == 1
    first, second = world.planned(1), world.planned(2)
    other = Ledger(connect())
    epochs: list[int | None] = []
    thread = threading.Thread(target=lambda: epochs.append(other.acquire("new", 60)))
    with world.database.transaction():
        assert world.launch(first, epoch=old)
        time.sleep(0.3)
        thread.start()
        time.sleep(0.3)
        assert epochs == []
    thread.join()
    assert epochs == [2]
    assert world.now(first).state is RunState.LAUNCHED
    assert not world.launch(second, epoch=old)
    assert not world.ledger.publish(first.run_id, 1, SHA, epoch=old)
    assert world.ledger.publish(first.run_id, 1, SHA, epoch=2)


def test_first_sight_of_many_pending_tasks_puts_the_brake_on(database: Database) -> None:
    ledger = Ledger(database)
    many = ledger.see_pipeline("many", engine=Engine.FACEMAP, pending=21, limit=20)
    few = ledger.see_pipeline("few", engine=Engine.FACEMAP, pending=20, limit=20)
    assert (many.brake, few.brake) == (True, False)
    again = ledger.see_pipeline("few", engine=Engine.TURBO, pending=1000, limit=20)
    assert again == few  # engine and brake were decided then
    assert [record.name for record in ledger.pipelines()] == ["few", "many"]
    assert ledger.release("many")
    assert not ledger.release("many")
    assert not ledger.release("unknown")
    assert [record.brake for record in ledger.pipelines()] == [False, False]


def test_a_request_is_answered_once(database: Database, connect: Connect) -> None:
    asking, running = Ledger(database), Ledger(connect())
    epoch = running.acquire("controller", 60)
    assert epoch is not None
    request_id = asking.ask("drain", "m1@laptop")
    (request,) = running.requests()
    assert (request.request_id, request.what, request.asked_by) == (request_id, "drain", "m1@laptop")
    assert not running.answer(request_id, "Stale.", epoch=epoch - 1)
    assert running.answer(request_id, "Done: 3 runs.", epoch=epoch)
    assert not running.answer(request_id, "Twice.", epoch=epoch)
    answered = asking.request(request_id)
    assert answered is not None
    assert (answered.state, answered.sentence) == ("done", "Done: 3 runs.")
    assert running.requests() == []
    assert asking.request("0" * 32) is None
