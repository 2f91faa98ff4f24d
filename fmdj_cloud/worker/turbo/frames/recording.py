"""The frames of a recording, binned and cropped, in blocks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.worker.index import Index
from fmdj_cloud.worker.svd.geometry import Size, binned_pixels, binned_size
from fmdj_cloud.worker.turbo.frames.bench import Bench
from fmdj_cloud.worker.turbo.frames.binning import add_bins
from fmdj_cloud.worker.turbo.frames.block import BLOCK, Block, Range, Wanted, edges, sum_type
from fmdj_cloud.worker.turbo.frames.cache import Cache, missing
from fmdj_cloud.worker.turbo.frames.crew import Crew
from fmdj_cloud.worker.turbo.frames.lane import Lane
from fmdj_cloud.worker.turbo.frames.luma import Source
from fmdj_cloud.worker.turbo.frames.pieces import Piece, pieces

Array = npt.NDArray[Any]

BUFFERS = 3
"""Blocks in memory: one is computed on, the next is ready, and the one after it is being filled."""
_PIECES = 4
"""Pieces of a block for each thread, so that none waits long for the others at its end."""
_SHORTEST = 16
_EVERYTHING = Wanted()


class Recording:
    """The frames that count, of sequential files with simultaneous views, decoded once per pass, ahead of use.

    Threads decode, bin and crop pieces of a file at the same time where its key frames allow it; of files with few
    key frames, one thread does and the decoder has threads of its own. Memory is that of :meth:`buffer_bytes`.

    Parameters
    ----------
    videos : nested sequence of Path or callable
        Outer sequential, inner simultaneous; a callable opens a file anew, to be read and sought.
    indices : nested sequence of Index
        Of the same files.
    frames : sequence of int
        Frames that count, of each sequential file.
    sbin : int
    threads : int
        Cores that there are.
    cache : Cache, optional
        Where frames are kept that are asked for with `keep`, and looked up always.
    """

    def __init__(
        self,
        videos: Sequence[Sequence[Source]],
        indices: Sequence[Sequence[Index]],
        frames: Sequence[int],
        sbin: int,
        *,
        threads: int = 1,
        cache: Cache | None = None,
    ) -> None:
        self._indices = indices
        self._frames = tuple(frames)
        self._threads = threads
        self._cache = cache
        self._kept: Wanted | None = None
        self.bench = Bench(threads * len(indices[0]))
        """Decoders that wait: of all files as many as one file of each view may have."""
        self._lanes = [
            [Lane(source, index, threads, self.bench) for source, index in zip(row, found, strict=True)]
            for row, found in zip(videos, indices, strict=True)
        ]
        self.sbin = sbin
        self.sizes: tuple[Size, ...] = tuple((index.facts.height, index.facts.width) for index in indices[0])
        """Height and width of every view."""

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        for row in self._lanes:
            for lane in row:
                lane.close()

    @property
    def nframes(self) -> int:
        """Frames that count."""
        return sum(self._frames)

    @property
    def pixels(self) -> int:
        """Binned pixels of all views."""
        return binned_pixels(self.sizes, self.sbin)

    @property
    def by_luma(self) -> bool:
        """Whether all files are decoded to their luma plane, as far as is known; else some need OpenCV."""
        return all(lane.luma for row in self._lanes for lane in row)

    def buffer_bytes(self, size: int = BLOCK, want: Wanted = _EVERYTHING) -> int:
        """Return the memory that blocks take."""
        binned = self.pixels * np.dtype(sum_type(self.sbin)).itemsize if want.binned else 0
        return BUFFERS * size * (binned + sum(crop.pixels for crop in want.crops))

    def can_keep(self, frames: int, want: Wanted = _EVERYTHING) -> bool:
        """Tell whether the cache surely has room for so many frames."""
        each = self.buffer_bytes(1, want) // BUFFERS
        return self._cache is not None and self._cache.has_room(frames * each, BLOCK * each)

    def check_ends(self) -> None:
        """Decode the last frame of every file, the first to be missing where one was cut off.

        Raises
        ------
        FramesEndError
            If a file has fewer frames than count.
        """
        ends = itertools.accumulate(self._frames)
        for _ in self.blocks_of([(end - 1, end) for end in ends], want=Wanted(binned=False)):
            pass

    def blocks(
        self, start: int, stop: int, *, size: int = BLOCK, want: Wanted = _EVERYTHING, keep: bool = False
    ) -> Iterator[Block]:
        """Yield frames ``start:stop``, as :meth:`blocks_of` does."""
        return self.blocks_of([(start, stop)], size=size, want=want, keep=keep)

    def blocks_of(
        self, ranges: Iterable[Range], *, size: int = BLOCK, want: Wanted = _EVERYTHING, keep: bool = False
    ) -> Iterator[Block]:
        """Yield the frames of some ranges in blocks, in order.

        Parameters
        ----------
        ranges : iterable of (int, int)
            First frame and the one after the last, over all sequential files.
        size : int
            Blocks end at its multiples, and at the end of each range.
        want : Wanted
        keep : bool
            Keep what is yielded for later, as long as the cache has room. All that is kept must be wanted alike:
            what was kept of other crops isn't used.

        Raises
        ------
        FramesEndError
            If a file has fewer frames than its packets promise.
        InputError
            If OpenCV must read a file that isn't here.
        ValueError
            If a range lies outside of the recording.
        """
        blocks = [edge for start, stop in ranges for edge in edges(start, stop, size)]
        if any(stop > self.nframes for _, stop in blocks):
            raise ValueError(f"the recording has {self.nframes} frames, and others were asked for")
        cache = self._cache
        if cache is not None and keep and self._kept is None:
            self._kept = want
        if self._kept != want:
            cache = None
        whole = [[(start, stop)] if cache is None else missing(cache, start, stop) for start, stop in blocks]
        length = max(_SHORTEST, -(-size // (_PIECES * self._threads)))
        orders = [
            list(pieces(block, wanted, self._indices, self._frames, length))
            for block, wanted in zip(blocks, whole, strict=True)
        ]
        longest = max((stop - start for start, stop in blocks), default=0)
        buffers = [self._buffer(longest, want) for _ in range(min(BUFFERS, len(blocks)))]
        crew = Crew(orders, buffers, self._fill, lambda piece: self._lanes[piece.row][piece.view].serial, self._threads)
        filled = crew.run()
        try:
            for (start, stop), buffer in zip(blocks, filled, strict=True):
                block = _block(start, stop, buffer, cache)
                if cache is not None and keep:
                    cache.put(block)
                yield block
        finally:
            filled.close()

    def _buffer(self, frames: int, want: Wanted) -> _Buffer:
        kind = sum_type(self.sbin)
        pixels = self.pixels if want.binned else 0
        return _Buffer(
            want,
            np.empty((frames, pixels), kind),
            tuple(np.empty((frames, crop.height, crop.width), np.uint8) for crop in want.crops),
        )

    def _fill(self, piece: Piece, buffer: _Buffer) -> None:
        """Decode, bin and crop a piece."""
        lane = self._lanes[piece.row][piece.view]
        height, width = binned_size(self.sizes[piece.view], self.sbin)
        first = binned_pixels(self.sizes[: piece.view], self.sbin)
        bins = slice(first, first + height * width)
        crops = [
            (crop, array)
            for crop, array in zip(buffer.want.crops, buffer.crops, strict=True)
            if crop.view == piece.view
        ]
        sums = np.empty(width * self.sbin, buffer.binned.dtype)
        for place, gray in enumerate(lane.read(piece.start, piece.stop), start=piece.place):
            if buffer.want.binned:
                add_bins(gray, self.sbin, sums, buffer.binned[place, bins])
            for crop, array in crops:
                array[place] = gray[crop.y0 : crop.y1, crop.x0 : crop.x1]


@dataclass(frozen=True)
class _Buffer:
    """Where a block is made."""

    want: Wanted
    binned: Array
    crops: tuple[Array, ...]


def _block(start: int, stop: int, buffer: _Buffer, cache: Cache | None) -> Block:
    """Return a block, with what a cache keeps of it."""
    count = stop - start
    block = Block(start, buffer.binned[:count], tuple(crop[:count] for crop in buffer.crops))
    if cache is None:
        return block
    for (first, last), (binned, *crops) in cache.runs(start, stop):
        if (first, last) == (start, stop):
            return Block(start, binned, tuple(crops))
        part = slice(first - start, last - start)
        block.binned[part] = binned
        for mine, kept in zip(block.crops, crops, strict=True):
            mine[part] = kept
    return block
