"""What a database refuses for good ends a load; what passes, or may pass, is tried again."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from fmdj_cloud.contracts import FailureClass, RunState
from fmdj_cloud.load.loop import _SAME_ANSWERS
from fmdj_cloud.load.results import LoadEnd
from tests.integration.load.conftest import World

pytestmark = pytest.mark.integration
POSTGRES, MARIADB = ("database_server", ["postgres"]), ("database_server", ["mariadb"])


@contextlib.contextmanager
def refusing(world: World, code: str, *, at_commit: bool = False) -> Iterator[None]:
    """Have the server answer rows of Region with an error of its own."""
    table, name = world.lab.element.Region.full_table_name, f"refuse_{uuid.uuid4().hex[:8]}"
    if world.database.backend == "postgresql":
        body = f"BEGIN RAISE EXCEPTION 'not here' USING ERRCODE = '{code}'; END"
        function = world.database.quote(world.database.ledger_schema, name)
        world.database.execute(f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$")
        kind, when = ("CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED") if at_commit else ("TRIGGER", "")
        world.database.execute(
            f"CREATE {kind} {name} AFTER INSERT ON {table} {when} FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
        gone = (f"DROP TRIGGER {name} ON {table}", f"DROP FUNCTION {function}")
    else:
        full = world.database.quote(table.split("`")[1], name)
        signal = f"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'not here'"
        world.database.execute(f"CREATE TRIGGER {full} AFTER INSERT ON {table} FOR EACH ROW {signal}")
        gone = (f"DROP TRIGGER {full}",)
    try:
        yield
    finally:
        for statement in gone:
            world.database.execute(statement)


def check_final(world: World, code: str, words: str, *, at_commit: bool = False) -> None:
    key = world.insert_task()
    run = world.publish(key)
    loader = world.loader()
    with refusing(world, code, at_commit=at_commit):
        (result,) = loader.run_pass()
    found = world.run(run)
    assert (result.end, found.state, found.failure_class) == (LoadEnd.FAILED, RunState.FAILED, FailureClass.LOAD)
    assert words in found.sentence
    assert "not here" in found.sentence
    assert set(world.rows(key).values()) == {0}
    assert not loader.run_pass(), "and is never tried again by itself"


@pytest.mark.parametrize(*MARIADB, indirect=True)
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("1644", "A constraint or trigger of the database refuses rows"),
        ("3819", "A constraint or trigger of the database refuses rows"),
        ("1048", "A constraint or trigger of the database refuses rows"),
        ("1197", "max_binlog_cache_size"),
    ],
)
def test_what_mysql_refuses_for_good_is_final(world: World, code: str, words: str) -> None:
    check_final(world, code, words)


@pytest.mark.parametrize(*POSTGRES, indirect=True)
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("P0001", "A constraint or trigger of the database refuses rows"),
        ("23514", "A constraint or trigger of the database refuses rows"),
        ("23502", "don't fit the tables"),
        ("54000", "load.max_components"),
    ],
)
def test_what_postgresql_refuses_for_good_is_final(world: World, code: str, words: str) -> None:
    check_final(world, code, words)


@pytest.mark.parametrize(*POSTGRES, indirect=True)
def test_what_is_refused_at_the_commit_is_final(world: World) -> None:
    check_final(world, "P0001", "A constraint or trigger of the database refuses rows", at_commit=True)


def test_the_labs_own_constraint_is_told(world: World) -> None:
    key = world.insert_task()
    run = world.publish(key)
    table = world.lab.element.Region.full_table_name
    world.database.execute(f"ALTER TABLE {table} ADD CONSTRAINT few_regions CHECK (roi_no < 1)")
    try:
        (result,) = world.loader().run_pass()
    finally:
        world.database.execute(f"ALTER TABLE {table} DROP CONSTRAINT few_regions")
    assert result.end is LoadEnd.FAILED
    assert "few_regions" in world.run(run).sentence


@pytest.mark.parametrize("database_server", ["postgres", "mariadb"], indirect=True)
def test_an_answer_that_stays_the_same_is_final_in_the_end(world: World) -> None:
    key, other = world.insert_task(), world.insert_task()
    run = world.publish(key)
    now = [0.0]
    loader = world.loader(clock=lambda: now[0])
    with refusing(world, "P0003" if world.database.backend == "postgresql" else "1305"):
        for _ in range(_SAME_ANSWERS - 1):
            (result,) = loader.run_pass()
            assert result.end is LoadEnd.LATER
            assert world.run(run).state is RunState.PUBLISHED
            now[0] += 601
        (result,) = loader.run_pass()
    assert result.end is LoadEnd.FAILED
    assert f"{_SAME_ANSWERS} times in a row" in world.run(run).sentence
    world.publish(other)
    assert [result.end for result in loader.run_pass()] == [LoadEnd.LOADED]


class Broken:
    """A store in which reading whatever lies below a folder raises what no store of ours does."""

    def __init__(self, store: Any, folder: str) -> None:
        self._store, self._folder, self.asked = store, folder, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def download(self, uri: str, path: Any, **options: Any) -> Any:
        if uri.startswith(self._folder):
            self.asked += 1
            raise ZeroDivisionError(f"number {self.asked}")
        return self._store.download(uri, path, **options)


def test_an_error_that_nobody_foresaw_hinders_no_other_run_and_is_final_in_the_end(world: World) -> None:
    run, other = (world.publish(world.insert_task()) for _ in range(2))
    store, world.store = world.store, Broken(world.store, run.output_dir)
    now = [0.0]
    loader = world.loader(clock=lambda: now[0])
    world.store = store
    ends = {result.run_id: result.end for result in loader.run_pass()}
    assert ends == {run.run_id: LoadEnd.LATER, other.run_id: LoadEnd.LOADED}
    for _ in range(_SAME_ANSWERS - 2):
        now[0] += 601
        assert [result.end for result in loader.run_pass()] == [LoadEnd.LATER]
    now[0] += 601
    assert [result.end for result in loader.run_pass()] == [LoadEnd.FAILED]
    assert "ZeroDivisionError" in world.run(run).sentence
    assert "fmdj bug-report" in world.run(run).sentence


@pytest.mark.parametrize("database_server", ["postgres", "mariadb"], indirect=True)
def test_one_runs_refusal_doesnt_end_the_pass(world: World) -> None:
    runs = [world.publish(world.insert_task()) for _ in range(2)]
    with refusing(world, "P0003" if world.database.backend == "postgresql" else "1305"):
        results = world.loader().run_pass()
    assert [result.end for result in results] == [LoadEnd.LATER] * 2
    assert {world.run(run).state for run in runs} == {RunState.PUBLISHED}


@pytest.mark.parametrize(*POSTGRES, indirect=True)
def test_trouble_of_the_server_is_waited_out(world: World) -> None:
    run = world.publish(world.insert_task())
    now = [0.0]
    loader = world.loader(clock=lambda: now[0])
    with refusing(world, "53100"):  # disk_full
        for _ in range(_SAME_ANSWERS + 2):
            assert [result.end for result in loader.run_pass()] == [LoadEnd.LATER]
            now[0] += 601
    assert [result.end for result in loader.run_pass()] == [LoadEnd.LOADED]
    assert world.run(run).state is RunState.LOADED
