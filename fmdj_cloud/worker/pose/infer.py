"""All points of a recording: what earlier attempts left, and the rest from the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.pose.ahead import Ahead
from fmdj_cloud.worker.pose.batches import Batch, Source, batches
from fmdj_cloud.worker.pose.network import Finder
from fmdj_cloud.worker.pose.parts import PartInfo, Points, missing, write_part

_BATCHES_AHEAD = 3


@dataclass(frozen=True)
class Bound:
    """How many frames of a view may be bad, and whether that was waived."""

    frames: int
    waived: bool


class Trace:
    """The points of one file, as they come in.

    Parameters
    ----------
    source : Source
    body_parts : int
    """

    def __init__(self, source: Source, body_parts: int) -> None:
        self.source = source
        self.frames = source.index.facts.frames
        """Frames that count: those that the packets promise, until it is known how many can be decoded."""
        self._points = np.zeros((self.frames, body_parts, 3), np.float32)
        self._points[:, :, :2] = np.nan

    def put(self, start: int, points: Points, *, ends: bool) -> None:
        """Keep the points of frames from `start` on."""
        self._points[start : start + len(points)] = points
        if ends:
            self.frames = start + len(points)

    def points(self, frames: int) -> Points:
        """Return the points of the first frames."""
        return self._points[:frames]


def bad_frames(points: Points) -> int:
    """Return how many frames hold no point: damaged, of one gray level, or beyond the network."""
    return int(np.count_nonzero(np.isnan(points[:, 0, 0])))


class Keeper:
    """Writes a part whenever enough time has passed, so that a killed attempt loses little.

    Parameters
    ----------
    folder : Path
        Existing folder.
    content_digest : str
    device : str
    every_s : float
    clock : callable
        Seconds, monotonic.
    """

    def __init__(
        self,
        folder: Path,
        *,
        content_digest: str,
        device: str,
        every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._digest = content_digest
        self._device = device
        self._every_s = every_s
        self._clock = clock
        self._written = 0
        self._since = clock()
        self._held: list[Points] = []
        self._info: PartInfo | None = None

    def keep(self, batch: Batch, points: Points) -> None:
        """Keep a batch."""
        place = batch.source.view, batch.source.file, batch.start
        if self._info is not None and (self._info.view, self._info.file, self._info.stop) != place:
            self.close()
        info = self._info or PartInfo(
            content_digest=self._digest,
            view=batch.source.view,
            file=batch.source.file,
            start=batch.start,
            stop=batch.stop,
            ends=batch.ends,
            sha256="",
            device=self._device,
        )
        self._info = info.model_copy(update={"stop": batch.stop, "ends": batch.ends})
        self._held.append(points)
        if batch.ends or self._clock() - self._since >= self._every_s:
            self.close()

    def close(self) -> None:
        """Write what is held."""
        if self._info is not None:
            write_part(self._folder, self._written, self._info, np.concatenate(self._held))
            self._written += 1
        self._held, self._info, self._since = [], None, self._clock()


class Inference:
    """Computes what is missing, and keeps it part by part.

    Parameters
    ----------
    finder : Finder
    sources : sequence of Source
    batch_size : int
    body_parts : int
    bound : Bound
    """

    def __init__(
        self, finder: Finder, sources: Sequence[Source], *, batch_size: int, body_parts: int, bound: Bound
    ) -> None:
        self._finder = finder
        self._batch_size = batch_size
        self._body_parts = body_parts
        self._bound = bound
        self._bad: dict[int, int] = {}
        self._parts: list[PartInfo] = []
        self.traces = [Trace(source, body_parts) for source in sources]
        self.seconds: dict[tuple[int, int], float] = {}
        """What the network took, by view and file."""

    def take_over(self, parts: Sequence[tuple[PartInfo, Points]]) -> int:
        """Take over parts of earlier attempts, and return how many frames they hold."""
        by_place = {(trace.source.view, trace.source.file): trace for trace in self.traces}
        for info, points in parts:
            by_place[info.view, info.file].put(info.start, points, ends=info.ends)
            self._parts.append(info)
            self._count_bad(info.view, bad_frames(points))
        total = sum(trace.frames for trace in self.traces)
        return total - sum(stop - start for trace in self.traces for start, stop in self._missing(trace))

    def run(self, keeper: Keeper, on_frames: Callable[[int], None]) -> None:
        """Compute what is missing.

        Parameters
        ----------
        keeper : Keeper
        on_frames : callable
            Called with the number of frames, each time that some are done.

        Raises
        ------
        InputError
            If more frames than allowed can't be decoded or show nothing (check ``bad_frames``).
        """
        by_source = {id(trace.source): trace for trace in self.traces}
        with Ahead(self._batches(), _BATCHES_AHEAD) as ready:
            for batch in ready:
                points = self._points(batch)
                self._count_bad(batch.source.view, bad_frames(points))
                by_source[id(batch.source)].put(batch.start, points, ends=batch.ends)
                keeper.keep(batch, points)
                on_frames(len(points))
        keeper.close()

    def _batches(self) -> Iterator[Batch]:
        for trace in self.traces:
            for start, stop in self._missing(trace):
                yield from batches(trace.source, start, stop, self._batch_size)

    def _missing(self, trace: Trace) -> list[tuple[int, int]]:
        place = trace.source.view, trace.source.file
        own = [info for info in self._parts if (info.view, info.file) == place]
        return missing(own, trace.source.index.facts.frames)

    def _points(self, batch: Batch) -> Points:
        points = np.zeros((batch.stop - batch.start, self._body_parts, 3), np.float32)
        points[:, :, :2] = np.nan
        if len(batch.numbers):
            began = time.monotonic()
            found = self._finder.find(batch.gray, batch.levels, batch.source.window)
            numbers = np.isfinite(found).all((1, 2))
            points[batch.numbers[numbers] - batch.start] = found[numbers]
            place = batch.source.view, batch.source.file
            self.seconds[place] = self.seconds.get(place, 0.0) + time.monotonic() - began
        return points

    def _count_bad(self, view: int, frames: int) -> None:
        self._bad[view] = self._bad.get(view, 0) + frames
        if self._bad[view] > self._bound.frames and not self._bound.waived:
            raise InputError(
                f"More than {self._bound.frames} frames of view {view} can't be decoded or are of one gray level: look "
                "at the video; if it is as good as it gets, accept the check bad_frames, and they are left empty.",
                check="bad_frames",
            )
