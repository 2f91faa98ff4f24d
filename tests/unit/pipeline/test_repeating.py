"""How often, and for how long, a change that was undone is made again."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field

import pytest

from fmdj_cloud.errors import DatabaseError, DeadlockError
from fmdj_cloud.pipeline.dialect import MYSQL
from fmdj_cloud.pipeline.ledger_populate import PopulateLedger
from fmdj_cloud.pipeline.repeating import Repeating

PAUSES = (0.1, 0.2, 0.4)


@dataclass
class Server:
    """Undoes changes, so many, each after `waits_s`."""

    undone: int
    waits_s: float = 0.0
    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def change(self) -> str:
        self.now += self.waits_s
        if self.undone:
            self.undone -= 1
            raise DeadlockError("Undone.")
        return "done"

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)

    def repeating(self) -> Repeating:
        return Repeating(pauses_s=PAUSES, patience_s=60, sleep=self.sleep, clock=lambda: self.now)


@pytest.mark.parametrize("undone", range(len(PAUSES) + 1))
def test_pauses_grow_until_it_is_done(undone: int) -> None:
    server = Server(undone)
    assert server.repeating().call(server.change) == "done"
    assert server.pauses == list(PAUSES[:undone])


def test_tries_are_bounded() -> None:
    server = Server(undone=100)
    with pytest.raises(DeadlockError):
        server.repeating().call(server.change)
    assert server.undone == 100 - len(PAUSES) - 1


def test_time_is_bounded_where_the_server_waits_long() -> None:
    server = Server(undone=100, waits_s=50)
    with pytest.raises(DeadlockError):
        server.repeating().call(server.change)
    assert server.pauses == [0.1]


def test_other_errors_are_not_repeated() -> None:
    calls = []

    def change() -> None:
        calls.append(1)
        raise DatabaseError("Gone.")

    with pytest.raises(DatabaseError):
        Repeating(sleep=calls.append).call(change)
    assert calls == [1]


@pytest.mark.parametrize(("code", "expected"), [(1213, True), (1205, True), (2006, False), (1062, False)])
def test_mysqls_codes_are_told_apart(code: int, expected: bool) -> None:
    assert MYSQL.is_deadlock(MYSQL.driver_error(code, "why")) is expected


def test_an_error_without_arguments_is_none() -> None:
    assert not MYSQL.is_deadlock(MYSQL.driver_error())


def test_every_change_of_the_ledger_is_repeated() -> None:
    public = [name for name in dir(PopulateLedger) if not name.startswith("_") and name != "attach"]
    methods = [inspect.getattr_static(PopulateLedger, name) for name in public]
    functions = [method for method in methods if inspect.isfunction(method)]
    words = (".transaction()", ".insert_new(", "database.execute(", "self._note(")
    changing = [one for one in functions if any(word in inspect.getsource(inspect.unwrap(one)) for word in words)]
    assert len(changing) > 30
    assert [one.__name__ for one in changing if not hasattr(one, "__wrapped__")] == []
