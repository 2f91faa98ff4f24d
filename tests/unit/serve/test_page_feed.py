"""One look serves all open pages, and nobody looks while none is open."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fmdj_cloud.errors import BusyError, DatabaseError
from fmdj_cloud.serve.page.feed import Feed


class Source:
    """News, and how often they were asked for."""

    def __init__(self, *news: Any) -> None:
        self.news = list(news)
        self.asked = 0
        self.looked = asyncio.Event()

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        said = self.news.pop(0) if len(self.news) > 1 else self.news[0]
        self.looked.set()
        if isinstance(said, Exception):
            raise said
        return {"n": said}


def test_fifty_pages_cost_one_look() -> None:
    async def listen() -> tuple[set[str], int]:
        source = Source(1)
        feed = Feed(source, 1000, 50)
        said = {await queue.get() for queue in [feed.join() for _ in range(50)]}
        await feed.close()
        return said, source.asked

    assert asyncio.run(listen()) == ({'event: news\ndata: {"n":1}\n\n'}, 1)


def test_who_is_slow_gets_the_newest() -> None:
    async def listen() -> str:
        source = Source(1, 2, 3)
        feed = Feed(source, 0, 5)
        queue = feed.join()
        while source.asked < 5:
            await asyncio.sleep(0)
        await feed.close()
        return queue.get_nowait()

    assert '"n":3' in asyncio.run(listen())


def test_what_has_not_changed_is_not_sent() -> None:
    async def listen() -> bool:
        source = Source(1)
        feed = Feed(source, 0, 5)
        queue = feed.join()
        await queue.get()
        while source.asked < 5:
            await asyncio.sleep(0)
        await feed.close()
        return queue.empty()

    assert asyncio.run(listen())


def test_who_comes_later_is_told_at_once() -> None:
    async def listen() -> str:
        feed = Feed(Source(1), 1000, 5)
        await feed.join().get()
        queue = feed.join()
        said = queue.get_nowait()
        await feed.close()
        return said

    assert '"n":1' in asyncio.run(listen())


def test_no_more_than_may_listen_and_a_place_is_free_again() -> None:
    async def listen() -> None:
        feed = Feed(Source(1), 1000, 1)
        queue = feed.join()
        with pytest.raises(BusyError):
            feed.join()
        feed.leave(queue)
        assert feed.clients == 0
        feed.leave(feed.join())

    asyncio.run(listen())


def test_nobody_looks_while_nobody_listens() -> None:
    async def listen() -> tuple[int, int]:
        source = Source(1)
        feed = Feed(source, 0, 5)
        queue = feed.join()
        await queue.get()
        feed.leave(queue)
        before = source.asked
        for _ in range(20):
            await asyncio.sleep(0)
        return before, source.asked

    before, after = asyncio.run(listen())
    assert after == before


def test_trouble_is_told_and_passes() -> None:
    async def listen() -> list[str]:
        feed = Feed(Source(DatabaseError("The database is gone."), 7), 0, 5)
        queue = feed.join()
        said = [await queue.get(), await queue.get()]
        await feed.close()
        return said

    trouble, news = asyncio.run(listen())
    assert trouble == 'event: trouble\ndata: {"sentence":"The database is gone."}\n\n'
    assert '"n":7' in news


def test_a_listener_that_goes_away_leaves() -> None:
    async def listen() -> int:
        feed = Feed(Source(1), 1000, 5)
        events = feed.events(feed.join())
        assert await anext(events) == "retry: 5000\n\n"
        assert (await anext(events)).startswith("event: news")
        await events.aclose()
        return feed.clients

    assert asyncio.run(listen()) == 0


def test_a_fault_of_ours_does_not_end_the_news() -> None:
    async def listen() -> list[str]:
        feed = Feed(Source(KeyError("x"), 7), 0, 5)
        queue = feed.join()
        said = [await queue.get(), await queue.get()]
        await feed.close()
        return said

    trouble, news = asyncio.run(listen())
    assert "KeyError" in trouble
    assert '"n":7' in news
