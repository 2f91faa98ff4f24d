"""Into which shards a recording can be cut, and which bytes each of them needs: pure functions."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence

from fmdj_cloud.contracts import ShardRange, VideoRef
from fmdj_cloud.contracts.shards import cut, filled
from fmdj_cloud.worker.index import Index
from fmdj_cloud.worker.reach import Extent

Indices = Sequence[Sequence[Index]]


def shards_of(
    indices: Indices, frames: Sequence[int], asked: int, *, block: int
) -> tuple[tuple[ShardRange, ...], tuple[str, ...]]:
    """Cut a recording.

    Parameters
    ----------
    indices : nested sequence of Index
        Outer sequential, inner simultaneous.
    frames : sequence of int
        Frames that count, of each sequential file.
    asked : int
        Shards at most.
    block : int
        Frames on whose multiples edges lie.

    Returns
    -------
    shards : tuple of ShardRange
    warnings : tuple of str
        Why there are fewer than were asked for.
    """
    nframes = sum(frames)
    worst = max((index for row in indices for index in row), key=_wait)
    most = -(-nframes // max(block, _wait(worst)))
    shards = filled(cut(nframes, min(asked, most), block=block))
    if len(shards) == asked:
        return shards, ()
    name = worst.facts.name
    if not worst.stamps:
        why = f"the packets of {name} don't say when frames are shown, so that they can only be counted from the first"
    elif _wait(worst) > block:
        why = f"{name} has up to {_wait(worst)} frames from one at which decoding can begin to the next"
    else:
        why = f"the recording has {nframes} frames, and a shard whole blocks of {block}"
    return shards, (f"{len(shards)} shard(s) instead of the {asked} asked for: {why}.",)


def _wait(index: Index) -> int:
    """Return how many frames may have to be decoded before one is reached."""
    return index.longest_wait if index.stamps else index.facts.frames


def tails(indices: Indices, frames: Sequence[int], missing: int) -> Iterator[tuple[int, int]]:
    """Yield the end of every sequential file, counted over all of them: frames that show whether it was cut off.

    Parameters
    ----------
    indices : nested sequence of Index
    frames : sequence of int
        Frames that count, of each sequential file.
    missing : int
        Frames at the end that may be missing, and are looked at in any case.
    """
    first = 0
    for row, count in zip(indices, frames, strict=True):
        keys = [index.keys[place] if (place := index.entry(count - 1)) >= 0 else 0 for index in row]
        yield first + max(0, min(*keys, count - 1 - missing)), first + count
        first += count


def extents_of(
    shard: ShardRange, indices: Indices, frames: Sequence[int], refs: Sequence[Sequence[VideoRef]]
) -> tuple[Extent, ...]:
    """Return what a shard needs of which files, with the frame before it.

    Parameters
    ----------
    shard : ShardRange
    indices : nested sequence of Index
    frames : sequence of int
        Frames that count, of each sequential file.
    refs : nested sequence of VideoRef
        The same files.
    """
    found = []
    firsts = itertools.accumulate(frames, initial=0)
    for row, (first, count) in enumerate(zip(firsts, frames, strict=False)):
        start, stop = max(0, shard.start - 1 - first), min(count, shard.stop - first)
        if start >= stop:
            continue
        for view, (index, ref) in enumerate(zip(indices[row], refs[row], strict=True)):
            begin, end = _bytes(index, start, stop, ref.size)
            found.append(Extent(row=row, view=view, start=begin, stop=end))
    return tuple(found)


def _bytes(index: Index, start: int, stop: int, size: int) -> tuple[int, int]:
    """Return where in a file frames ``start:stop`` lie, from a key frame to a key frame."""
    if not index.ends:
        return 0, size
    place = index.entry(start)
    before = index.keys[place] if place >= 0 else 0
    after = bisect.bisect_left(index.keys, stop)
    end = index.ends[index.keys[after] - 1] if after < len(index.keys) and index.keys[after] else size
    return index.ends[before - 1] if before else 0, max(end, index.ends[stop - 1])
