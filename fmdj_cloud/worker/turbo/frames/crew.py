"""Threads that fill blocks ahead of whoever computes on them."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Generic, TypeVar

from fmdj_cloud.worker.turbo.frames.pieces import Piece

Buffer = TypeVar("Buffer")


class Crew(Generic[Buffer]):
    """Fills buffers in the order of their blocks, as many at a time as there are buffers.

    Parameters
    ----------
    blocks : sequence of sequence of Piece
        What fills each block.
    buffers : sequence
        At least two: one is with the consumer while the others are filled.
    fill : callable
        Decodes a piece into a buffer.
    serial : callable
        Tells whether the pieces of a file are to be decoded one after the other.
    threads : int
    """

    def __init__(
        self,
        blocks: Sequence[Sequence[Piece]],
        buffers: Sequence[Buffer],
        fill: Callable[[Piece, Buffer], None],
        serial: Callable[[Piece], bool],
        threads: int,
    ) -> None:
        self._blocks = blocks
        self._buffers = buffers
        self._fill = fill
        self._serial = serial
        self._changed = threading.Condition()
        self._left = [len(pieces) for pieces in blocks]
        self._waiting: collections.deque[tuple[int, Piece]] = collections.deque()
        self._offered = 0
        self._busy: set[tuple[int, int]] = set()
        self._over = False
        self._error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"frames-{number}", daemon=True) for number in range(threads)
        ]

    def run(self) -> Generator[Buffer, None, None]:
        """Yield each block's buffer once it is full; it is filled anew when the next is asked for."""
        self._offer(len(self._buffers))
        for thread in self._threads:
            thread.start()
        try:
            for number in range(len(self._blocks)):
                self._wait_for(number)
                yield self._buffers[number % len(self._buffers)]
                self._offer(number + 1 + len(self._buffers))
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()
            for thread in self._threads:
                thread.join()

    def _wait_for(self, number: int) -> None:
        """Wait for a block to be full."""
        with self._changed:
            while self._left[number] and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise self._error

    def _offer(self, until: int) -> None:
        """Let blocks up to `until` be filled."""
        with self._changed:
            for number in range(self._offered, min(until, len(self._blocks))):
                self._waiting.extend((number, piece) for piece in self._blocks[number])
                self._offered = number + 1
            self._changed.notify_all()

    def _work(self) -> None:
        while (order := self._next()) is not None:
            number, piece = order
            try:
                self._fill(piece, self._buffers[number % len(self._buffers)])
            except BaseException as error:  # whatever it is, it belongs to whoever waits for the frames
                with self._changed:
                    self._error = self._error or error
                    self._over = True
                    self._changed.notify_all()
                return
            with self._changed:
                self._left[number] -= 1
                self._busy.discard((piece.row, piece.view))
                self._changed.notify_all()

    def _next(self) -> tuple[int, Piece] | None:
        """Wait for the first piece whose file is free."""
        with self._changed:
            while not self._over:
                for order in self._waiting:
                    file = order[1].row, order[1].view
                    if not self._serial(order[1]):
                        self._waiting.remove(order)
                        return order
                    if file not in self._busy:
                        self._busy.add(file)
                        self._waiting.remove(order)
                        return order
                if self._offered == len(self._blocks) and not self._waiting:
                    return None
                self._changed.wait()
        return None
