"""One shard of a pose run: which frames of which files it has, and the file that holds their points.

``part.h5`` (HDF5)::

    /                   attributes: format "fmdj-pose-part", version 1, batch, body_parts (in the network's order)
    /<view>/<file>      attributes: start (first frame), frames (of the whole file, as far as this shard knows), seconds
                        (of the network); dataset "points" (frames, body parts, 3) float32: x, y, likelihood
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from fmdj_cloud.contracts import ShardRange
from fmdj_cloud.worker.counts import Grid
from fmdj_cloud.worker.pose.parts import Points
from fmdj_cloud.worker.pose.results import Place
from fmdj_cloud.worker.pose.trace import Trace
from fmdj_cloud.worker.stage_files import stage_file

PART_FILE = "part.h5"
_FORMAT = "fmdj-pose-part"
_VERSION = 1

Ranges = Mapping[Place, tuple[int, int]]
"""Frames of every file, half-open; a file of which none are wanted isn't there."""


def ranges_of(shard: ShardRange, frames: Sequence[int], views: int) -> dict[Place, tuple[int, int]]:
    """Return which frames of each file a shard has.

    Parameters
    ----------
    shard : ShardRange
        Over all sequential files.
    frames : sequence of int
        Frames that count, of each sequential file.
    views : int
    """
    firsts = list(itertools.accumulate(frames, initial=0))
    found = {}
    for file, count in enumerate(frames):
        start, stop = max(0, shard.start - firsts[file]), min(count, shard.stop - firsts[file])
        if start < stop:
            found.update({(view, file): (start, stop) for view in range(views)})
    return found


def whole_batches(ranges: Ranges, facts: Grid, batch: int) -> dict[Place, tuple[int, int]]:
    """Return ranges that begin and end where batches of the whole file do.

    What a network finds in a frame may depend, in the last bit, on how many frames it gets at once: so every frame
    is computed in the same company, wherever a recording is cut.

    Parameters
    ----------
    ranges : mapping
    facts : Grid
        With the frames that packets promise.
    batch : int
        Frames at once.
    """
    return {
        (view, file): (start // batch * batch, min(facts[file][view].frames, -(-stop // batch) * batch))
        for (view, file), (start, stop) in ranges.items()
    }


@dataclass(frozen=True)
class Piece:
    """Points of some frames of one file.

    Attributes
    ----------
    start : int
    points : ndarray, shape (n, body parts, 3)
    frames : int
        Frames of the whole file: as the packets promise, or as it turned out here.
    seconds : float
        What the network took.
    """

    start: int
    points: Points
    frames: int
    seconds: float


@dataclass(frozen=True)
class PosePart:
    """What a shard has found.

    Attributes
    ----------
    batch : int
        Frames at once; 0 where nothing was computed.
    body_parts : tuple of str
        In the order of the network's outputs.
    pieces : mapping of (view, file) to Piece
    """

    batch: int
    body_parts: tuple[str, ...]
    pieces: Mapping[Place, Piece]


def write_part(path: Path, part: PosePart) -> None:
    """Write what a shard has found."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": _FORMAT, "version": _VERSION, "batch": part.batch})
        file.attrs["body_parts"] = list(part.body_parts)
        for (view, number), piece in part.pieces.items():
            group = file.create_group(f"{view}/{number}")
            group.attrs.update({"start": piece.start, "frames": piece.frames, "seconds": piece.seconds})
            group["points"] = piece.points


def read_part(path: Path) -> PosePart:
    """Read what a shard has found.

    Raises
    ------
    StorageError
        If it isn't such a file.
    """
    with stage_file(path, _FORMAT, _VERSION) as file:
        return PosePart(
            batch=int(file.attrs["batch"]),
            body_parts=tuple(str(name) for name in file.attrs["body_parts"]),
            pieces={
                (int(view), int(number)): Piece(
                    start=int(group.attrs["start"]),
                    points=group["points"][()],
                    frames=int(group.attrs["frames"]),
                    seconds=float(group.attrs["seconds"]),
                )
                for view in file
                for number, group in file[view].items()
            },
        )


def joined(parts: Sequence[PosePart], facts: Grid) -> dict[Place, Trace]:
    """Put the pieces of all shards together.

    Parameters
    ----------
    parts : sequence of PosePart
    facts : Grid
        With the frames that packets promise.
    """
    body_parts = max(len(part.body_parts) for part in parts)
    traces = {
        (view, file): Trace(found.frames, body_parts)
        for file, row in enumerate(facts)
        for view, found in enumerate(row)
    }
    for part in parts:
        for place, piece in part.pieces.items():
            trace = traces[place]
            trace.put(piece.start, piece.points, ends=False)
            trace.frames = min(trace.frames, piece.frames)
            trace.seconds += piece.seconds
    return traces
