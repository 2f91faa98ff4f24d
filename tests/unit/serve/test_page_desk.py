"""Equal questions are asked once, and who asks too much is told to come back."""

from __future__ import annotations

import asyncio
import threading

import pytest

from fmdj_cloud.errors import BusyError, DatabaseError
from fmdj_cloud.serve.page import desk as module
from fmdj_cloud.serve.page.desk import Desk


class Clock:
    """Time as the test has it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_many_who_ask_the_same_get_one_answer() -> None:
    looks: list[str] = []
    go = threading.Event()

    def look() -> str:
        go.wait(10)
        looks.append(threading.current_thread().name)
        return "answer"

    async def many() -> list[str]:
        desk = Desk(5, Clock())
        waiting = [asyncio.ensure_future(desk.ask("same", look)) for _ in range(50)]
        await asyncio.sleep(0)
        go.set()
        return await asyncio.gather(*waiting)

    assert asyncio.run(many()) == ["answer"] * 50
    assert looks == ["page_0"]


def test_an_answer_holds_for_a_while_and_no_longer() -> None:
    clock, answers = Clock(), iter(range(10))

    async def ask() -> list[int]:
        desk = Desk(5, clock)
        said = [await desk.ask("q", lambda: next(answers))]
        clock.now = 4.9
        said.append(await desk.ask("q", lambda: next(answers)))
        clock.now = 5.1
        said.append(await desk.ask("q", lambda: next(answers)))
        return said

    assert asyncio.run(ask()) == [0, 0, 1]


def test_what_fails_is_said_to_all_and_asked_again() -> None:
    calls: list[int] = []

    def look() -> str:
        calls.append(1)
        if len(calls) == 1:
            raise DatabaseError("The database is gone.")
        return "back"

    async def ask() -> tuple[list[str | BaseException], str]:
        desk = Desk(5, Clock())
        first = await asyncio.gather(desk.ask("q", look), desk.ask("q", look), return_exceptions=True)
        return first, await desk.ask("q", look)

    first, then = asyncio.run(ask())
    assert all(isinstance(one, DatabaseError) for one in first)
    assert (then, len(calls)) == ("back", 2)


def test_who_goes_away_takes_nothing_from_the_others() -> None:
    go = threading.Event()

    async def ask() -> str:
        desk = Desk(5, Clock())
        leaves = asyncio.ensure_future(desk.ask("q", lambda: go.wait(10) and "answer"))
        stays = asyncio.ensure_future(desk.ask("q", lambda: "never asked"))
        await asyncio.sleep(0)
        leaves.cancel()
        go.set()
        return str(await stays)

    assert asyncio.run(ask()) == "answer"


def test_too_many_different_questions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAITING", 3)
    go = threading.Event()

    async def ask() -> None:
        desk = Desk(5, Clock())
        waiting = [asyncio.ensure_future(desk.ask(number, lambda: go.wait(10))) for number in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="try again"):
            await desk.ask("one more", lambda: 1)
        go.set()
        await asyncio.gather(*waiting)
        assert await desk.ask("one more", lambda: 1) == 1

    asyncio.run(ask())
