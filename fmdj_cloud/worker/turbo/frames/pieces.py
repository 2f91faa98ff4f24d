"""Which piece of which file belongs where in a block: pure functions."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fmdj_cloud.worker.index import Index
from fmdj_cloud.worker.turbo.frames.block import Range


@dataclass(frozen=True)
class Piece:
    """Frames of one file that are decoded in one go.

    Attributes
    ----------
    row, view : int
        Which file: sequential, simultaneous.
    start, stop : int
        Frames of the file.
    place : int
        Of the first frame in its block.
    """

    row: int
    view: int
    start: int
    stop: int
    place: int


def pieces(
    block: Range, wanted: Sequence[Range], indices: Sequence[Sequence[Index]], frames: Sequence[int], length: int
) -> Iterator[Piece]:
    """Cut frames of a block into pieces.

    A piece lies in one file. Where a file has key frames, pieces of about `length` frames begin at them, so that
    several are decoded at the same time without decoding frames for nothing.

    Parameters
    ----------
    block : (int, int)
        Frames over all sequential files.
    wanted : sequence of (int, int)
        Those within the block that are to be decoded.
    indices : nested sequence of Index
        Outer sequential, inner simultaneous.
    frames : sequence of int
        Frames that count, of each sequential file.
    length : int
    """
    firsts = list(itertools.accumulate(frames, initial=0))
    for start, stop in wanted:
        at = start
        while at < stop:
            row = bisect.bisect_right(firsts, at) - 1
            end = min(stop, firsts[row + 1])
            first = firsts[row]
            for view, index in enumerate(indices[row]):
                for a, b in _cut(index, at - first, end - first, length):
                    yield Piece(row, view, a, b, first + a - block[0])
            at = end


def _cut(index: Index, start: int, stop: int, length: int) -> Iterator[Range]:
    at = start
    while at < stop:
        place = bisect.bisect_left(index.keys, at + length)
        end = min(stop, index.keys[place]) if place < len(index.keys) else stop
        yield at, end
        at = end
