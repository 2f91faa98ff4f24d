"""The basis stage: mean frame, mean motion, and the components of every region.

Facemap's schedule (:mod:`fmdj_cloud.worker.turbo.schedule`). All frames that it names are decoded once, in their
order, which costs least where frames depend on those before them, and kept in the recording's cache; the chunks are
then decomposed from there, two at a time, so that what one thread alone can do (eigenvectors) leaves none idle. Where
the cache hasn't room for all, those of the means (a thousand at most) come first and have what room there is, and the
chunks are decoded as they are decomposed: with the projection, none is decoded more than twice either.
Memory, with P bins of all views, T = 1,000 frames of a chunk, C chunks (at most 15) and b bytes of a sum (1, 2 or 4):

    4 T P b                   chunks, and a ROI's part of them
    + 4 x 250 C P x kinds     components of all chunks, of full frame and ROIs; in files that are mapped
    + 28 x (250 C)^2          their Gram matrix, pieces of it, and its eigenvectors
    + 2 x 4 x 500 P           masks, before and after they are turned

With Facemap's basis, scikit-learn copies what it decomposes: 3 x 4 x 250 C P for the merge, where that is more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.contracts import Basis
from fmdj_cloud.worker.turbo.bases import Bases, Subspace
from fmdj_cloud.worker.turbo.decompose import Held, components
from fmdj_cloud.worker.turbo.differences import Centred, add_motion
from fmdj_cloud.worker.turbo.frames import Block, Range, Recording, Wanted, sum_type
from fmdj_cloud.worker.turbo.masks import unit
from fmdj_cloud.worker.turbo.pca import pca_components
from fmdj_cloud.worker.turbo.regions import Movement, Region
from fmdj_cloud.worker.turbo.schedule import basis_chunks, mean_runs, sampled
from fmdj_cloud.worker.turbo.shelf import Shelf
from fmdj_cloud.worker.turbo.team import Team

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

CHUNK_COMPONENTS = 250
COMPONENTS = 500
_CHUNKS_AT_ONCE = 2


def find_bases(
    recording: Recording,
    frames: Sequence[int],
    regions: Sequence[Region],
    movements: Sequence[Movement],
    *,
    basis: Basis,
    want: Wanted,
    team: Team,
    scratch: Path,
    on_frames: Callable[[int], None] = lambda frames: None,
) -> Bases:
    """Find the basis of a recording.

    Parameters
    ----------
    recording : Recording
        What it decodes is kept in its cache.
    frames : sequence of int
        Frames that count, of each sequential file.
    regions : sequence of Region
    movements : sequence of {"mot", "mov"}
    basis : Basis
    want : Wanted
        What later stages want of frames too, so that the cache serves them.
    team : Team
    scratch : Path
        Existing folder for components of all chunks.
    on_frames : callable
        Called with the number of frames, each time that some were read.
    """
    reader = _Reader(recording, want, on_frames)
    scale = 1 / recording.sbin**2
    means = _Means(mean_runs(frames), recording.pixels)
    for block in reader.each(_read_first(recording, frames, want, basis=bool(regions))):
        means.add(block)
    mean: dict[Movement, Array] = {"mot": means.motion(scale), "mov": means.frame(scale)}
    chunks = basis_chunks(recording.nframes) if regions else ()
    made = [
        _Components(region, movement, mean[movement], scale, len(chunks), basis, team, scratch)
        for region in regions
        for movement in movements
    ]

    def decompose(chunk: tuple[int, Array]) -> None:
        for one in made:
            one.add(*chunk)
        reader.shelf.give(chunk[1])

    at_once = 1 if basis is Basis.FACEMAP else min(_CHUNKS_AT_ONCE, team.threads)  # its PCA copies whole chunks
    with Team(at_once) as pairs:
        whole = ((number, reader.whole(chunk, recording.pixels)) for number, chunk in enumerate(chunks))
        for _ in pairs.map(decompose, whole, ahead=0):
            pass
    return Bases(
        nframes=recording.nframes,
        avgframe=mean["mov"],
        avgmotion=mean["mot"],
        subspaces={(one.region.slot, one.movement): one.merged() for one in made},
    )


def _read_first(recording: Recording, frames: Sequence[int], want: Wanted, *, basis: bool) -> tuple[Range, ...]:
    """Return the frames that are decoded before any chunk is decomposed: all, if they can be kept until then."""
    for ranges in dict.fromkeys([sampled(frames, basis=basis), sampled(frames, basis=False)]):
        count = sum(stop - start for start, stop in ranges)
        if recording.can_keep(count, want):
            return ranges
        log.info("there is no room to keep %d frames until they are needed again", count)
    return ranges


class _Reader:
    """Reads frames and keeps them."""

    def __init__(self, recording: Recording, want: Wanted, on_frames: Callable[[int], None]) -> None:
        self._recording = recording
        self._want = want
        self._on_frames = on_frames
        self.shelf = Shelf()
        """For the sums of chunks that nobody needs any more."""

    def each(self, ranges: Sequence[Range]) -> Iterator[Block]:
        """Yield blocks of some ranges."""
        for block in self._recording.blocks_of(ranges, want=self._want, keep=True):
            yield block
            self._on_frames(block.stop - block.start)

    def whole(self, chunk: Range, pixels: int) -> Array:
        """Return the sums of a chunk's frames, (n, P)."""
        start, stop = chunk
        sums = self.shelf.take((stop - start, pixels), np.dtype(sum_type(self._recording.sbin)))
        for block in self.each([chunk]):
            sums[block.start - start : block.stop - start] = block.binned
        return sums


class _Means:
    """Mean frame and mean motion; differences are those within a run of frames."""

    def __init__(self, runs: Sequence[Range], pixels: int) -> None:
        self._runs = runs
        self._levels, self._changes = np.zeros(pixels, np.int64), np.zeros(pixels, np.int64)
        self._last: Array = np.zeros((0, pixels), np.int64)

    def add(self, block: Block) -> None:
        """Add what belongs to a run of the next block."""
        for first, end in self._runs:
            start, stop = max(first, block.start), min(end, block.stop)
            if start < stop:
                sums = block.binned[start - block.start : stop - block.start]
                self._levels += sums.sum(axis=0, dtype=np.int64)
                if start > first:  # the run goes on from the block before
                    sums = np.concatenate([self._last, sums])
                add_motion(sums, self._changes)
        self._last = block.binned[-1:].copy()

    def frame(self, scale: float) -> Array:
        """Return the mean frame, (P,) float32."""
        mean: Array = self._levels * (scale / sum(stop - start for start, stop in self._runs))
        return mean.astype(np.float32)

    def motion(self, scale: float) -> Array:
        """Return the mean motion, (P,) float32."""
        mean: Array = self._changes * (scale / sum(stop - start - 1 for start, stop in self._runs))
        return mean.astype(np.float32)


class _Components:
    """The components of one region, chunk by chunk."""

    def __init__(
        self,
        region: Region,
        movement: Movement,
        mean: Array,
        scale: float,
        chunks: int,
        basis: Basis,
        team: Team,
        scratch: Path,
    ) -> None:
        self.region = region
        self.movement = movement
        self._mean = region.of(mean)
        self._scale = scale
        self._basis = basis
        self._team = team
        # one fewer than bins at most: every frame loses its own mean over them
        self._count = min(COMPONENTS if chunks == 1 else CHUNK_COMPONENTS, region.pixels - 1)
        self._path = scratch / f"chunks-{region.slot}-{movement}"
        shape = max(1, chunks), self._count, region.pixels
        self._room: Array = np.memmap(self._path, np.float32, "w+", shape=shape).view(np.ndarray)
        self._found: dict[int, Array] = {}
        """Components of each chunk, times their singular values."""
        self._values: Array = np.zeros(0, np.float32)

    def add(self, number: int, sums: Array) -> None:
        """Add a chunk, (frames, P) sums of all bins."""
        chunk = Centred(self.region.of(sums), self.movement, self._mean, self._scale)
        room = self._room[number]
        if self._basis is Basis.EXACT:
            values = components(chunk, self._count, self._team, lambda count: room[:count])
        else:
            made, values = pca_components(chunk.uncentred(), self._count)
            room[: len(made)] = made
        self._found[number] = room[: len(values)]
        self._values = values  # of use where there is one chunk alone

    def merged(self) -> Subspace:
        """Return the components of all chunks together."""
        masks, values = self._merge([self._found[number] for number in sorted(self._found)])
        self._room, self._found = self._room[:0], {}
        self._path.unlink()
        offsets = (self._mean.astype(np.float64) @ masks).astype(np.float32)
        return Subspace(masks, values, offsets)

    def _merge(self, chunks: list[Array]) -> tuple[Array, Array]:
        if len(chunks) == 1:
            return unit(chunks[0], self._values)
        count = min(COMPONENTS, self.region.pixels - 1)
        if self._basis is Basis.FACEMAP:
            return unit(*pca_components(np.ascontiguousarray(np.concatenate(chunks).T), count))
        turned = np.empty((count, self.region.pixels), np.float32)
        values = components(Held(chunks), count, self._team, lambda found: turned[:found])
        return unit(turned[: len(values)], values)
