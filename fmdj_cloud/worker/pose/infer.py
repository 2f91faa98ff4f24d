"""All points of a recording: what earlier attempts left, and the rest from the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from fmdj_cloud.worker.pose.ahead import Ahead
from fmdj_cloud.worker.pose.batches import Batch, Source, batches
from fmdj_cloud.worker.pose.bounds import Bound
from fmdj_cloud.worker.pose.network import Finder
from fmdj_cloud.worker.pose.parts import PartInfo, Points, missing, write_part
from fmdj_cloud.worker.pose.trace import Trace, bad_frames

_BATCHES_AHEAD = 3


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

    def keep(self, batch: Batch, points: Points, network_s: float = 0.0) -> None:
        """Keep a batch; `network_s` is what the network took."""
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
        self._info = info.model_copy(
            update={"stop": batch.stop, "ends": batch.ends, "network_s": info.network_s + network_s}
        )
        self._held.append(points)
        if batch.ends or self._clock() - self._since >= self._every_s:
            self.close()

    def close(self) -> None:
        """Write what is held."""
        if self._info is not None:
            info = self._info.model_copy(update={"seconds": self._clock() - self._since})
            write_part(self._folder, self._written, info, np.concatenate(self._held))
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
    ranges : mapping of (view, file) to (int, int), optional
        Frames of each file, half-open; none of a file that isn't there. Everything if not given.
    """

    def __init__(
        self,
        finder: Finder,
        sources: Sequence[Source],
        *,
        batch_size: int,
        body_parts: int,
        bound: Bound,
        ranges: Mapping[tuple[int, int], tuple[int, int]] | None = None,
    ) -> None:
        self._finder = finder
        self._batch_size = batch_size
        self._body_parts = body_parts
        self._bound = bound
        self._bad: dict[int, int] = {}
        self.earlier_s = 0.0
        """What passed in earlier attempts for the parts that were taken over."""
        self._parts: list[PartInfo] = []
        self._sources = tuple(sources)
        self.traces = [Trace(source.index.facts.frames, body_parts) for source in sources]
        """Of the sources, in their order."""
        self._by_place = {
            (source.view, source.file): trace for source, trace in zip(self._sources, self.traces, strict=True)
        }
        self._promised = {(source.view, source.file): source.index.facts.frames for source in sources}
        whole = {place: (0, frames) for place, frames in self._promised.items()}
        self._ranges = whole if ranges is None else ranges

    def take_over(self, parts: Sequence[tuple[PartInfo, Points]]) -> int:
        """Take over parts of earlier attempts, and return how many frames they hold."""
        for info, points in parts:
            place = info.view, info.file
            start, stop = self._ranges.get(place, (0, 0))
            if info.start >= stop or info.stop < start:
                continue
            # Two pods may have finished the same frames: they count once
            lacking = self._missing(place)
            self._by_place[place].put(info.start, points, ends=info.ends)
            self._parts.append(info)
            wanted = [
                points[max(first, info.start) - info.start : last - info.start]
                for first, last in lacking
                if first < info.stop and last > info.start
            ]
            self._count_bad(info.view, sum(map(bad_frames, wanted)))
            share = sum(map(len, wanted)) / max(1, len(points))
            self.earlier_s += share * info.seconds
            self._by_place[place].seconds += share * info.network_s
        promised = sum(
            max(0, min(stop, self._by_place[place].frames) - start) for place, (start, stop) in self._ranges.items()
        )
        return promised - sum(stop - start for place in self._by_place for start, stop in self._missing(place))

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
        with Ahead(self._batches(), _BATCHES_AHEAD) as ready:
            for batch in ready:
                trace = self._by_place[batch.source.view, batch.source.file]
                points, network_s = self._points(batch)
                self._count_bad(batch.source.view, bad_frames(points))
                trace.put(batch.start, points, ends=batch.ends)
                trace.seconds += network_s
                keeper.keep(batch, points, network_s)
                on_frames(len(points))
        keeper.close()

    def _batches(self) -> Iterator[Batch]:
        for source in self._sources:
            for start, stop in self._missing((source.view, source.file)):
                yield from batches(source, start, stop, self._batch_size)

    def _missing(self, place: tuple[int, int]) -> list[tuple[int, int]]:
        first, last = self._ranges.get(place, (0, 0))
        own = [info for info in self._parts if (info.view, info.file) == place]
        found = ((max(first, a), min(last, b)) for a, b in missing(own, self._promised[place]))
        return [(start, stop) for start, stop in found if start < stop]

    def _points(self, batch: Batch) -> tuple[Points, float]:
        """Return a batch's points, and the seconds that the network took."""
        points = np.zeros((batch.stop - batch.start, self._body_parts, 3), np.float32)
        points[:, :, :2] = np.nan
        began = time.monotonic()
        if len(batch.numbers):
            found = self._finder.find(batch.gray, batch.levels, batch.source.window)
            numbers = np.isfinite(found).all((1, 2))
            points[batch.numbers[numbers] - batch.start] = found[numbers]
        return points, time.monotonic() - began

    def _count_bad(self, view: int, frames: int) -> None:
        self._bad[view] = self._bad.get(view, 0) + frames
        self._bound.check(view, self._bad[view])
