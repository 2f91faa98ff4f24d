"""Frames that were decoded once and are needed again: in memory, then in a file, within the room given."""

from __future__ import annotations

import bisect
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.worker.turbo.frames.block import Block, Range

Array = npt.NDArray[Any]


class Cache:
    """Keeps blocks of frames: what is binned of them, and what is cropped.

    Parameters
    ----------
    memory_bytes : int
        Of memory, used first.
    scratch_bytes : int
        Of the file, used when that is full. It goes when it is closed, or with the process.
    folder : Path, optional
        For the file; None is where temporary files belong.
    """

    def __init__(self, memory_bytes: int, scratch_bytes: int = 0, folder: Path | None = None) -> None:
        self._memory_left = memory_bytes
        self._scratch_left = scratch_bytes
        self._folder = folder
        self._file: Any = None
        self._starts: list[int] = []
        self._kept: list[tuple[Range, Sequence[Array]]] = []

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._starts.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def has_room(self, size: int, largest: int) -> bool:
        """Tell whether so many bytes surely find room beside what is kept, in pieces of at most `largest` bytes."""
        rooms = self._memory_left, self._scratch_left
        return max(*rooms, sum(rooms) - largest) >= size

    def put(self, block: Block) -> None:
        """Keep those frames of a block that aren't kept yet, as long as there is room."""
        for start, stop in missing(self, block.start, block.stop):
            part = slice(start - block.start, stop - block.start)
            layers = [array[part] for array in (block.binned, *block.crops)]
            kept = self._keep(layers)
            if kept is None:
                return
            place = bisect.bisect_left(self._starts, start)
            self._starts.insert(place, start)
            self._kept.insert(place, ((start, stop), kept))

    def runs(self, start: int, stop: int) -> list[tuple[Range, tuple[Array, ...]]]:
        """Return what is kept of frames ``start:stop``: for each run of frames its layers, binned first, then crops."""
        found = []
        place = max(0, bisect.bisect_right(self._starts, start) - 1)
        while place < len(self._kept) and self._starts[place] < stop:
            (first, last), layers = self._kept[place]
            a, b = max(first, start), min(last, stop)
            if a < b:
                found.append(((a, b), tuple(layer[a - first : b - first] for layer in layers)))
            place += 1
        return found

    def _keep(self, layers: Sequence[Array]) -> list[Array] | None:
        size = sum(layer.nbytes for layer in layers)
        if size <= self._memory_left:
            self._memory_left -= size
            return [layer.copy() for layer in layers]
        if size <= self._scratch_left:
            self._scratch_left -= size
            return [self._write(layer) for layer in layers]
        return None

    def _write(self, layer: Array) -> Array:
        if not layer.size:
            return layer.copy()
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="fmdj-frames-", dir=self._folder)  # noqa: SIM115 - kept open
        place = self._file.seek(0, 2)
        self._file.write(np.ascontiguousarray(layer).data)
        self._file.flush()
        return np.memmap(self._file, layer.dtype, "r", place, layer.shape)


def missing(cache: Cache, start: int, stop: int) -> list[Range]:
    """Return the runs of frames ``start:stop`` that a cache doesn't keep."""
    found, at = [], start
    for (first, last), _ in cache.runs(start, stop):
        if first > at:
            found.append((at, first))
        at = last
    if at < stop:
        found.append((at, stop))
    return found
