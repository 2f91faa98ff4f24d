"""Decoders that wait for their next frames, of all files together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Bench:
    """Keeps decoders within bounds: where a recording has many files, those of files that were passed are closed.

    Parameters
    ----------
    seats : int
        Threads of all decoders that wait, at most; what has waited longest is closed. A single one always has room.
    """

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self._lock = threading.Lock()
        self._waiting: list[tuple[object, Any, int]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def sit(self, lane: object, decoder: Any, threads: int) -> None:
        """Let a decoder wait.

        Parameters
        ----------
        lane : object
            Whose it is.
        decoder : LumaDecoder or BgrDecoder
        threads : int
            Of the decoder.
        """
        with self._lock:
            self._waiting.append((lane, decoder, threads))
            taken = sum(each for _, _, each in self._waiting)
            gone = []
            while taken > self._seats and len(self._waiting) > 1:
                _, longest, each = self._waiting.pop(0)
                gone.append(longest)
                taken -= each
        for passed in gone:
            passed.close()

    def take(self, lane: object, cost: Callable[[Any], int]) -> Any:
        """Return a lane's decoder that costs least, None if none of it waits."""
        with self._lock:
            mine = [seat for seat in self._waiting if seat[0] is lane]
            if not mine:
                return None
            best = min(mine, key=lambda seat: cost(seat[1]))
            self._waiting = [seat for seat in self._waiting if seat is not best]
            return best[1]

    def dismiss(self, lane: object, kind: type | tuple[type, ...] = object) -> None:
        """Close a lane's decoders of some kind."""
        with self._lock:
            gone = [seat for seat in self._waiting if seat[0] is lane and isinstance(seat[1], kind)]
            self._waiting = [seat for seat in self._waiting if seat not in gone]
        for _, decoder, _ in gone:
            decoder.close()
