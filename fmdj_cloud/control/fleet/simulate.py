"""Pods on places, one event after the other: how long it takes until all is done. Pure.

Work is done in the order in which it is given; what has begun goes on before anything new begins. A place holds one
pod. With places of one type, more of them never make it longer, and neither does less work.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

PODS_MAX = 200_000
"""A fleet with more pods is simulated as a model of itself: so many times fewer recordings, places and launches."""


@dataclass(frozen=True)
class Step:
    """Pods of one piece of work that run at the same time.

    Attributes
    ----------
    pods : int
    seconds : tuple of float
        How long each holds a place of each type, by the type's number.
    """

    pods: int
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Batch:
    """Pieces of work that are alike.

    Attributes
    ----------
    number : int
    steps : tuple of Step
        One after the other.
    allowed : tuple of int
        Numbers of the types of places that its pods fit, the best first.
    """

    number: int
    steps: tuple[Step, ...]
    allowed: tuple[int, ...]


@dataclass(frozen=True)
class Places:
    """Places of one type.

    Attributes
    ----------
    number : int
    from_s : float
        When they are there, seconds.
    """

    number: int
    from_s: float = 0.0


@dataclass(frozen=True)
class Course:
    """How it went.

    Attributes
    ----------
    seconds : float
        When the last pod ended.
    busy_s : tuple of float
        How long places of each type were held, seconds, all together.
    peak : tuple of int
        How many of each were held at a time, at most.
    launches : int
        Jobs that were made.
    """

    seconds: float
    busy_s: tuple[float, ...]
    peak: tuple[int, ...]
    launches: int


def simulate(batches: Sequence[Batch], places: Sequence[Places], launches_per_s: float) -> Course:
    """Return how it goes.

    Parameters
    ----------
    batches : sequence of Batch
        In the order of their urgency; each fits a type that has places.
    places : sequence of Places
    launches_per_s : float
        Jobs made per second at most; the pods of one step are one Job.
    """
    pods = sum(batch.number * sum(step.pods for step in batch.steps) for batch in batches)
    scale = max(1, math.ceil(pods / PODS_MAX))
    if scale == 1:
        return _Run(batches, places, launches_per_s).course()
    small = [replace(batch, number=math.ceil(batch.number / scale)) for batch in batches]
    fewer = [replace(one, number=max(1, round(one.number / scale)) if one.number else 0) for one in places]
    model = _Run(small, fewer, launches_per_s / scale).course()
    # as many pods and places in all as there are, however the rounding went
    rounded = scale * sum(one.number for one in fewer) / sum(one.number for one in places)
    done = sum(batch.number * sum(step.pods for step in batch.steps) for batch in small)
    return Course(
        model.seconds * rounded,
        tuple(busy * pods / done for busy in model.busy_s),
        tuple(min(one.number, peak * scale) for peak, one in zip(model.peak, places, strict=True)),
        sum(batch.number * len(batch.steps) for batch in batches),
    )


class _Piece:
    """One piece of work that has begun."""

    __slots__ = ("left", "running", "step")

    def __init__(self) -> None:
        self.step = -1
        self.left = 0
        """Pods of its step that wait for a place."""
        self.running = 0


class _Run:
    def __init__(self, batches: Sequence[Batch], places: Sequence[Places], launches_per_s: float) -> None:
        self._batches = batches
        self._gap_s = 1 / launches_per_s
        self._fresh = [batch.number for batch in batches]
        self._going: list[deque[_Piece]] = [deque() for _ in batches]
        self._free = [0] * len(places)
        self._busy = [0.0] * len(places)
        self._held = [0] * len(places)
        self._peak = [0] * len(places)
        self._events: list[tuple[float, int, int, int, _Piece | None]] = []
        """When, tie breaker, number of the batch or -1, type of the place, piece."""
        self._number = 0
        self._launches = 0
        self._launch_at = 0.0
        self._ended = 0.0
        for kind, one in enumerate(places):
            if one.number:
                self._add(one.from_s, -one.number, kind, None)

    def course(self) -> Course:
        """Run to the end."""
        while self._events:
            now = self._events[0][0]
            while self._events and self._events[0][0] == now:
                _, _, batch, kind, piece = heapq.heappop(self._events)
                if piece is None:
                    self._free[kind] += -batch
                    continue
                self._free[kind] += 1
                self._held[kind] -= 1
                self._ended = now
                self._end(batch, piece)
            self._fill(now)
        return Course(self._ended, tuple(self._busy), tuple(self._peak), self._launches)

    def _end(self, number: int, piece: _Piece) -> None:
        piece.running -= 1
        if piece.running == piece.left == 0 and piece.step + 1 < len(self._batches[number].steps):
            self._going[number].append(piece)

    def _fill(self, now: float) -> None:
        for number, batch in enumerate(self._batches):
            while (kind := self._place_for(batch)) is not None:
                going = self._going[number]
                if going:
                    piece = going[0]
                elif self._fresh[number]:
                    self._fresh[number] -= 1
                    piece = _Piece()
                    going.append(piece)
                else:
                    break
                if piece.left == 0:
                    piece.step += 1
                    piece.left = batch.steps[piece.step].pods
                    self._launches += 1
                    self._launch_at = max(now, self._launch_at + self._gap_s) if self._launches > 1 else now
                self._start(now, number, kind, piece)
                if piece.left == 0:
                    going.popleft()

    def _place_for(self, batch: Batch) -> int | None:
        return next((kind for kind in batch.allowed if self._free[kind]), None)

    def _start(self, now: float, number: int, kind: int, piece: _Piece) -> None:
        seconds = self._batches[number].steps[piece.step].seconds[kind]
        piece.left -= 1
        piece.running += 1
        self._free[kind] -= 1
        self._held[kind] += 1
        self._peak[kind] = max(self._peak[kind], self._held[kind])
        self._busy[kind] += seconds
        self._add(max(now, self._launch_at) + seconds, number, kind, piece)

    def _add(self, when: float, batch: int, kind: int, piece: _Piece | None) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, batch, kind, piece))
