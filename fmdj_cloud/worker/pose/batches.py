"""Frames in batches, as the network takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fmdj_cloud.worker.index import Index
from fmdj_cloud.worker.pose.levels import levels
from fmdj_cloud.worker.pose.stream import Frames, Gray
from fmdj_cloud.worker.pose.window import Window


@dataclass(frozen=True)
class Source:
    """A file of a view.

    Attributes
    ----------
    view, file : int
        Its place among the simultaneous and among the sequential files.
    path : Path
    index : Index
    window : Window
    """

    view: int
    file: int
    path: Path
    index: Index
    window: Window


@dataclass(frozen=True)
class Batch:
    """Frames ``start:stop`` of a file, of which some can be seen.

    Attributes
    ----------
    source : Source
    start, stop : int
    numbers : ndarray of int64, shape (k,)
        Frames that can be seen; the others are damaged, or of one gray level.
    gray : ndarray of uint8, shape (k, rows, columns)
        The window's box of each.
    levels : ndarray of float32, shape (k, 2)
        Gray levels that become 0 and 1.
    ends : bool
        Whether the file ends with it.
    """

    source: Source
    start: int
    stop: int
    numbers: npt.NDArray[np.int64]
    gray: npt.NDArray[np.uint8]
    levels: npt.NDArray[np.float32]
    ends: bool


def batches(source: Source, start: int, stop: int, size: int) -> Iterator[Batch]:
    """Decode frames ``start:stop`` of a file, or as far as it goes.

    Parameters
    ----------
    source : Source
    start, stop : int
    size : int
        Frames of a batch.
    """
    box = source.window.box
    seen: list[tuple[int, Gray, tuple[float, float]]] = []
    begin = end = start

    def batch(*, ends: bool) -> Batch:
        shape = (0, source.window.height, source.window.width)
        return Batch(
            source=source,
            start=begin,
            stop=end,
            numbers=np.array([number for number, _, _ in seen], np.int64),
            gray=np.stack([gray for _, gray, _ in seen]) if seen else np.empty(shape, np.uint8),
            levels=np.array([pair for _, _, pair in seen], np.float32).reshape(-1, 2),
            ends=ends,
        )

    for number, frame in Frames(source.path, source.index).from_frame(start):
        if number >= stop:
            break
        end = number + 1
        pair = None if frame is None else levels(frame)
        if frame is not None and pair is not None:
            seen.append((number, frame[box.y0 : box.y1, box.x0 : box.x1], pair))
        if end - begin == size and end < stop:
            yield batch(ends=False)
            begin, seen = end, []
    yield batch(ends=end < stop or stop == source.index.facts.frames)
