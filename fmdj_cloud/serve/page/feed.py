"""News for open pages: one look for all of them, sent as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fmdj_cloud.errors import BusyError, FmdjError

_log = logging.getLogger(__name__)
_ALIVE_S = 15.0
"""Proxies close what is silent for longer."""
News = Callable[[], Awaitable[dict[str, Any]]]


class Feed:
    """Sends what changed to everybody who listens.

    While nobody listens, nothing is asked. Who is slow misses what lies between, and gets the newest.

    Parameters
    ----------
    news : callable
        Returns the newest state of what the pages show.
    every_s : float
        Pause between two looks, seconds.
    clients_max : int
        Who may listen at a time.
    """

    def __init__(self, news: News, every_s: float, clients_max: int) -> None:
        self._news = news
        self._every_s = every_s
        self._clients_max = clients_max
        self._clients: set[asyncio.Queue[str]] = set()
        self._newest = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def clients(self) -> int:
        """How many listen."""
        return len(self._clients)

    def join(self) -> asyncio.Queue[str]:
        """Begin to listen; every item is the text of an event.

        Raises
        ------
        BusyError
            If too many do.
        """
        if len(self._clients) >= self._clients_max:
            raise BusyError("Too many pages are kept up to date at once: this one is not.")
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=1)
        if self._newest:
            queue.put_nowait(self._newest)
        self._clients.add(queue)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return queue

    def leave(self, queue: asyncio.Queue[str]) -> None:
        """Listen no more; the last one ends the looking."""
        self._clients.discard(queue)
        if not self._clients and self._task is not None:
            self._task.cancel()
            self._task, self._newest = None, ""

    async def events(self, queue: asyncio.Queue[str]) -> AsyncIterator[str]:
        """Yield events for one listener until it goes away."""
        try:
            yield "retry: 5000\n\n"
            while True:
                try:
                    yield await asyncio.wait_for(queue.get(), _ALIVE_S)
                except TimeoutError:
                    yield ": nothing new\n\n"
        finally:
            self.leave(queue)

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            event = await self._event()
            if event != self._newest:
                self._newest = event
                for queue in self._clients:
                    if queue.full():
                        queue.get_nowait()
                    queue.put_nowait(event)
            await asyncio.sleep(self._every_s)

    async def _event(self) -> str:
        try:
            news = await self._news()
        except FmdjError as error:
            _log.warning("The page can't be kept up to date: %s", error.sentence)
            return _event_text("trouble", {"sentence": error.sentence})
        except Exception as error:  # a fault of ours: the next look may do better
            _log.exception("The page can't be kept up to date.")
            sentence = f"The page can't be kept up to date ({type(error).__name__}): its log says more."
            return _event_text("trouble", {"sentence": sentence})
        return _event_text("news", news)


def _event_text(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
