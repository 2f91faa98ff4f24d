"""Transactions that cross: the server undoes one, and the ledger makes it again."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from fmdj_cloud.contracts import Kind, TaskRecord, Wanted
from fmdj_cloud.errors import DeadlockError, LostRaceError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.ledger_bindings import ACTIVE
from fmdj_cloud.pipeline.repeating import Repeating

from .conftest import LIMITS, SHA, World, failure

pytestmark = pytest.mark.integration
HEAVY = 40
"""Rows that the other transaction has changed: of two, InnoDB undoes the one that has done less."""
TASKS = 3
PROGRAMS = 6
CALLS = 250


@dataclass
class Pauses:
    """What a connection was made to wait between tries."""

    taken: list[float] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        self.stop.wait(seconds)


@pytest.fixture
def program(world: World) -> Iterator[Callable[[Pauses], Ledger]]:
    """Opens ledgers on connections of their own, whose pauses are noted."""
    opened: list[Database] = []

    def start(pauses: Pauses) -> Ledger:
        opened.append(Database(world.database.settings, repeating=Repeating(sleep=pauses)))
        ledger = Ledger(opened[-1])
        ledger.attach("lab", Kind.SVD, world.element.FacemapTask)
        return ledger

    yield start
    for database in opened:
        database.close()


def wait_until_blocked(database: Database) -> None:
    """Return when some transaction waits for rows of another."""
    sql = {
        "postgresql": "SELECT COUNT(*) FROM pg_locks WHERE NOT granted",
        "mysql": "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    }[database.backend]
    for _ in range(100):
        if database.query(sql) != [(0,)]:
            return
        threading.Event().wait(0.12)  # whoever asks more often than every 0.1 s is given InnoDB's last answer again
    pytest.fail("no transaction waits")


def crossed(world: World, watcher: Database, other: Database, change: Callable[[], bool]) -> bool:
    """Make a change of run 1 while another transaction holds what it needs last and wants what it has first."""
    tables = world.ledger.binding_table("lab", Kind.SVD).name, world.ledger.run_table
    run_id = world.ledger.runs()[0].run_id
    if other.backend == "postgresql":  # there, who has waited longer is undone
        other.execute("SET deadlock_timeout = '20s'")
    with ThreadPoolExecutor(1) as pool:
        with other.transaction():
            other.execute(f"UPDATE {tables[1]} SET priority = 8 WHERE run_id <> %s", (run_id,))
            other.execute(f"UPDATE {tables[0]} SET priority = 8")
            future = pool.submit(change)
            wait_until_blocked(watcher)
            other.execute(f"UPDATE {tables[1]} SET priority = 8 WHERE run_id = %s", (run_id,))
        return future.result(30)


def test_a_change_that_was_undone_is_made_again(world, program, connect) -> None:
    for number in range(HEAVY):
        world.planned(number + 1)
    first = world.ledger.runs()[0]
    pauses = Pauses()
    ledger = program(pauses)
    assert crossed(world, connect(), connect(), lambda: ledger.set_priority(first.run_id, 3))
    assert pauses.taken == [0.01]
    assert world.now(first).priority == 3
    binding = world.ledger.binding_of(first.run_id)
    assert binding is not None
    assert binding.priority == 3


def test_inside_a_callers_transaction_all_of_it_is_undone(world, program, connect) -> None:
    for number in range(HEAVY):
        world.planned(number + 1)
    first = world.ledger.runs()[0]
    pauses = Pauses()
    ledger = program(pauses)

    def callers() -> bool:
        with ledger.database.transaction():
            assert ledger.set_wanted(first.run_id, Wanted.HOLD)
            return ledger.set_priority(first.run_id, 3)

    with pytest.raises(DeadlockError, match="others held the rows it needed"):
        crossed(world, connect(), connect(), callers)
    assert pauses.taken == []
    assert world.now(first).wanted is Wanted.RUN
    assert ledger.set_priority(first.run_id, 4)  # the connection goes on


def test_rows_that_are_held_for_too_long_are_asked_for_again(world, program, connect) -> None:
    run = world.planned()
    pauses, other = Pauses(), connect()
    ledger = program(pauses)
    limit = "lock_timeout = '200ms'" if other.backend == "postgresql" else "innodb_lock_wait_timeout = 1"
    ledger.database.execute(f"SET SESSION {limit}")
    with ThreadPoolExecutor(1) as pool:
        with other.transaction():
            other.execute(f"UPDATE {world.ledger.run_table} SET priority = 8")
            future = pool.submit(ledger.set_priority, run.run_id, 3)
            for _ in range(1000):
                if pauses.taken:
                    break
                threading.Event().wait(0.01)
        assert future.result(30)
    assert pauses.taken
    assert world.now(run).priority == 3


def leads(ledger: Ledger, dice: random.Random, name: str) -> None:
    """Do something with leadership."""
    match dice.randrange(4):
        case 0:
            ledger.take_over(name, 5)
        case 1:
            ledger.acquire(name, dice.choice((0.001, 5)))
        case 2:
            ledger.renew(name, (ledger.leader() or ("", 0))[1], 5)
        case _:
            ledger.resign(name, (ledger.leader() or ("", 0))[1])


def changes(world: World, ledger: Ledger, dice: random.Random, task: TaskRecord) -> None:
    """Do something with a task, as a controller, loader or person would."""
    leader = ledger.leader()
    epoch = dice.choice((leader[1] if leader else 1, None))
    binding = ledger.binding("lab", Kind.SVD, task.key)
    run = ledger.run(binding.run_id) if binding is not None and binding.run_id is not None else None
    if run is None or dice.random() < 0.3:
        world.plan(task, dice.choice("ab"), via=ledger, epoch=epoch)
        return
    at = (run.run_id, run.attempt)
    name = f"fmdj-{run.run_id}"
    every: tuple[Callable[[], object], ...] = (
        lambda: ledger.launch(
            *at, folder="f", spec_sha256=SHA, launcher="l", job_name=name, limits=LIMITS, epoch=epoch
        ),
        lambda: ledger.publish(*at, SHA, epoch=epoch),
        lambda: ledger.retry(*at, failure(), not_before_s=0, epoch=epoch),
        lambda: ledger.fail(run.run_id, run.state, run.attempt, failure(), epoch=epoch),
        lambda: ledger.cancel(run.run_id, run.state, run.attempt, epoch=epoch),
        lambda: ledger.mark_loaded(*at, SHA),
        lambda: ledger.supersede(run.run_id, run.state, run.attempt, "why", epoch=epoch, count_changed=True),
        lambda: ledger.set_priority(run.run_id, dice.randrange(9)),
        lambda: ledger.set_task_priority(task, dice.randrange(9)),
        lambda: ledger.set_wanted(run.run_id, Wanted.RUN),
        lambda: ledger.refuse(task, failure(), epoch=epoch),
        lambda: binding is not None and ledger.reopen(binding, "again"),
        lambda: ledger.forget("lab", Kind.SVD, task.key, epoch=epoch),
    )
    dice.choice(every)()


@pytest.mark.parametrize("seed", [1])
def test_changes_from_all_sides_end_well(world, program, seed) -> None:
    tasks = [world.task(world.add_task(number + 1)) for number in range(TASKS)]
    pauses = Pauses()

    def act(ledger: Ledger, number: int) -> None:
        dice = random.Random(seed * 100 + number)
        for _ in range(CALLS):
            with suppress(LostRaceError):
                if number < 2:
                    leads(ledger, dice, f"c{number}")
                else:
                    changes(world, ledger, dice, dice.choice(tasks))

    ledgers = [program(pauses) for _ in range(PROGRAMS)]
    with ThreadPoolExecutor(PROGRAMS) as pool:
        for future in [pool.submit(act, ledger, number) for number, ledger in enumerate(ledgers)]:
            future.result(120)
    for task in tasks:
        active = [run.run_id for run in world.ledger.runs_of(task.task_digest) if run.state.value in ACTIVE]
        binding = world.ledger.binding("lab", Kind.SVD, task.key)
        assert len(active) <= 1
        if active:
            assert binding is not None
            assert binding.run_id == active[0]
