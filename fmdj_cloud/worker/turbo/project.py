"""The projection stage: all signals of a range of frames, block by block.

With b_t the bins of frame t, m the mean and U the masks, the motion SVD of frame t is (|b_t - b_(t-1)| - m) U,
computed as |b_t - b_(t-1)| U - m U: one product per block of 500 frames, minus a row that is known. Every block is
computed on its own, from its frames and the one before them, by one thread: neither where a range begins (at the
edge of a block) nor the number of threads changes a bit of the result.

Memory, with P bins of all views and b bytes of a sum: for each thread and two more blocks 500 P (b + 4), beside
what decoding needs (:meth:`~fmdj_cloud.worker.turbo.frames.Recording.buffer_bytes`) and the masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.worker.turbo.arithmetic import Arithmetic
from fmdj_cloud.worker.turbo.bases import Bases
from fmdj_cloud.worker.turbo.differences import levels, motion
from fmdj_cloud.worker.turbo.frames import Range, Recording, Wanted
from fmdj_cloud.worker.turbo.meters import Meters
from fmdj_cloud.worker.turbo.part import PartWriter
from fmdj_cloud.worker.turbo.regions import Movement, Region
from fmdj_cloud.worker.turbo.shelf import Shelf
from fmdj_cloud.worker.turbo.team import Team

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Work:
    """A block of its own: frames ``start:stop`` and, where there is one, the frame before them."""

    start: int
    sums: Array
    crops: tuple[Array, ...]


def project(
    recording: Recording,
    frames: Range,
    bases: Bases,
    regions: Sequence[Region],
    movements: Sequence[Movement],
    meters: Meters,
    path: Path,
    *,
    team: Team,
    on_frames: Callable[[int], None] = lambda frames: None,
) -> None:
    """Compute all signals of a range of frames.

    Parameters
    ----------
    recording : Recording
    frames : (int, int)
        First frame, at the edge of a block, and the one after the last.
    bases : Bases
    regions : sequence of Region
    movements : sequence of {"mot", "mov"}
    meters : Meters
        What is measured in the crops.
    path : Path
        New file for the part.
    team : Team
    on_frames : callable
        Called with the number of frames, each time that some are done.
    """
    start, stop = frames
    shelf = Shelf()
    projector = _Projector(bases, regions, movements, 1 / recording.sbin**2, shelf, team.arithmetic)
    want = Wanted(binned=bool(regions), crops=meters.crops)

    def compute(work: _Work) -> tuple[int, int, dict[str, Array]]:
        rows = projector.rows(work) if regions else {}
        rows.update(meters.rows(work.start, work.crops))
        count = len(work.sums) - (work.start > 0)
        shelf.give(work.sums, *work.crops)
        return work.start, count, rows

    with PartWriter(path, start, stop) as part:
        for first, count, rows in team.map(compute, _works(recording, start, stop, want, shelf)):
            part.write(first, rows)
            on_frames(count)


def _works(recording: Recording, start: int, stop: int, want: Wanted, shelf: Shelf) -> Iterator[_Work]:
    """Yield the blocks, each with the frame before it: copies, since a block's arrays are used again."""
    last: tuple[Array, ...] | None = None
    for block in recording.blocks(max(0, start - 1), stop, want=want):
        layers = block.binned, *block.crops
        if block.start >= start:
            copies = []
            for place, layer in enumerate(layers):
                before = layer[:0] if last is None else last[place]
                copy = shelf.take((len(before) + len(layer), *layer.shape[1:]), layer.dtype)
                copy[: len(before)], copy[len(before) :] = before, layer
                copies.append(copy)
            yield _Work(block.start, copies[0], tuple(copies[1:]))
        last = tuple(layer[-1:].copy() for layer in layers)


class _Projector:
    """Motion and projections of all regions."""

    def __init__(
        self,
        bases: Bases,
        regions: Sequence[Region],
        movements: Sequence[Movement],
        scale: float,
        shelf: Shelf,
        arithmetic: Arithmetic,
    ) -> None:
        self._bases = bases
        self._arithmetic = arithmetic
        self._held = {place: arithmetic.hold(subspace.masks) for place, subspace in bases.subspaces.items()}
        self._regions = regions
        self._movements = movements
        self._scale = scale
        self._shelf = shelf

    def rows(self, work: _Work) -> dict[str, Array]:
        """Return rows of a block by their place in a part."""
        rows: dict[str, Array] = {}
        for region in self._regions:
            sums = np.ascontiguousarray(region.of(work.sums))
            if work.start == 0:  # nothing comes before it: the first frame gets the row of the second
                sums = np.concatenate([sums[:1], sums])
            values = self._shelf.take((len(sums) - 1, region.pixels), np.dtype(np.float32))
            energy = motion(sums, self._scale, values)
            if work.start == 0:
                values[0], energy[0] = values[1], energy[1]
            rows[f"{region.slot}/motion"] = energy.astype(np.float32)
            for movement in self._movements:
                if movement == "mov":
                    levels(sums[1:], self._scale, values)
                rows[f"{region.slot}/{movement}"] = self._project(region, movement, values)
            self._shelf.give(values)
        return rows

    def _project(self, region: Region, movement: Movement, values: Array) -> Array:
        subspace = self._bases.subspaces[region.slot, movement]
        projections = self._arithmetic.product(values, self._held[region.slot, movement])
        projections -= subspace.offsets
        return projections
