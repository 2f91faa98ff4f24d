"""The frames of a video file, each at its place, also where others before it can't be decoded."""

from __future__ import annotations

import bisect
import collections
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fmdj_cloud.worker.index import Index
from fmdj_cloud.worker.video import open_capture

Gray = npt.NDArray[np.uint8]
_REORDERED = 16
"""Frames that h264 and h265 may show before one that they need."""
_PATIENCE = 64
"""Times that OpenCV is asked to go on behind what it can't decode; at the end of a file it never does."""


class Frames:
    """Decodes a file's frames with OpenCV, as Facemap does, to the same gray levels.

    Where OpenCV meets a frame that it can't decode it says that the video is over, and Facemap with it. Asked
    again it goes on behind it, and the times of what follows tell which frame was lost. What was made from a lost
    frame counts as lost, too: all until the next key frame, and those shown shortly before that need it.

    Parameters
    ----------
    path : Path
    index : Index
        Of this file.
    """

    def __init__(self, path: Path, index: Index) -> None:
        self._path = path
        self._index = index
        # Containers that keep no times of their own may begin to count anywhere
        self._shift_ms: float | None = 0.0 if index.times_ms[:1] == (0.0,) else None
        self._held = 0 if len(index.keys) == index.facts.frames else _REORDERED

    def from_frame(self, start: int) -> Iterator[tuple[int, Gray | None]]:
        """Yield the number of every frame from `start` on and the frame, None where it can't be decoded.

        Frames at the end of the file that can't be decoded are left out: nobody knows whether there were any.
        """
        held: collections.deque[tuple[int, Gray | None]] = collections.deque()
        expected = whole_from = 0
        for number, frame in self._decoded(start - self._held):
            if number > expected:
                whole_from = self._key_after(number - 1)
                spoiled = max(self._key_before(expected), expected - self._held)
                held = collections.deque((k, None if k >= spoiled else seen) for k, seen in held)
                held.extend((lost, None) for lost in range(expected, number))
            held.append((number, frame if number >= whole_from else None))
            expected = number + 1
            while len(held) > self._held:
                yield from self._wanted(held, start)
        while held:
            yield from self._wanted(held, start)

    def _wanted(
        self, held: collections.deque[tuple[int, Gray | None]], start: int
    ) -> Iterator[tuple[int, Gray | None]]:
        number, frame = held.popleft()
        if number >= start:
            yield number, frame

    def _decoded(self, start: int) -> Iterator[tuple[int, Gray | None]]:
        """Yield what OpenCV reads, in order; frames before `start` aren't looked at."""
        capture = open_capture(self._path)
        last, failures, lossless = -1, 0, True
        try:
            while last < self._index.facts.frames - 1 and failures < _PATIENCE:
                if not capture.grab():
                    if not self._index.times_ms:  # nothing would tell with which frame it goes on
                        return
                    failures, lossless = failures + 1, False
                    continue
                failures = 0
                number = self._number(capture, last + 1)
                if number <= last and not lossless:  # decoders bring up what they had kept, too late
                    continue
                # As long as nothing was lost, frames follow each other, however a container counts time
                last = max(number, last + 1)
                lossless = lossless and last == number
                if last < start:
                    yield last, None
                    continue
                found, picture = capture.retrieve()
                yield last, gray_of(picture) if found else None
        finally:
            capture.release()

    def _key_after(self, number: int) -> int:
        """Return the first key frame behind a frame, or the end of the file."""
        keys = self._index.keys
        place = bisect.bisect_right(keys, number)
        return keys[place] if place < len(keys) else self._index.facts.frames

    def _key_before(self, number: int) -> int:
        """Return the last key frame up to a frame, or the file's beginning."""
        place = bisect.bisect_right(self._index.keys, number)
        return self._index.keys[place - 1] if place else 0

    def _number(self, capture: cv2.VideoCapture, expected: int) -> int:
        """Return the number of the frame that was grabbed, by its time; the expected one if times say nothing."""
        times = self._index.times_ms
        if not times:
            return expected
        now = float(capture.get(cv2.CAP_PROP_POS_MSEC))
        if self._shift_ms is None:
            self._shift_ms = times[0] - now
        now += self._shift_ms
        after = bisect.bisect_left(times, now)
        near = min((k for k in (after - 1, after) if 0 <= k < len(times)), key=lambda k: abs(times[k] - now))
        return near


def gray_of(picture: npt.NDArray[Any]) -> Gray:
    """Return a picture of OpenCV's in gray, as Facemap converts it."""
    gray: Gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return gray
