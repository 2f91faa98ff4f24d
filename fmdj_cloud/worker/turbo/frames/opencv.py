"""Decoding as Facemap does, for whatever has colour or is unusual."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy.typing as npt

from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.index import Index
from fmdj_cloud.worker.video import open_capture

Array = npt.NDArray[Any]

_CERTAIN = 0.25
"""Part of the time between two frames by which a frame's own time may be off."""
_NEAR = 24
"""Frames that are sooner decoded than sought past: OpenCV seeks to 16 frames before and decodes those."""


class FramesEndError(InputError):
    """OpenCV, and so Facemap, gets no further than some frame, whatever the packets promise.

    Parameters
    ----------
    sentence : str
    name : str
        Base name of the file.
    frames : int
        Frames of it that can be decoded.
    """

    def __init__(self, sentence: str, name: str, frames: int) -> None:
        super().__init__(sentence, check="missing_frames")
        self.name = name
        self.frames = frames


class BgrDecoder:
    """Decodes frames by their numbers with OpenCV, to gray levels.

    OpenCV seeks by assuming a constant rate. Where it landed is told by the frame's time; where that isn't certain,
    frames are counted from the first.

    Parameters
    ----------
    path : Path
    index : Index
        Of this file.
    """

    def __init__(self, path: Path, index: Index) -> None:
        self._path = path
        self._index = index
        self._times = index.times_ms
        self._capture = open_capture(path)
        self._picture: Array | None = None
        self._gray: Array | None = None
        self.next = 0
        """Number of the frame that comes next without seeking, -1 where nobody knows."""

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def read(self, start: int, stop: int) -> Iterator[Array]:
        """Yield frames ``start:stop``, each (height, width) uint8, which holds until the next.

        Raises
        ------
        FramesEndError
            If there are fewer.
        """
        if self.next < 0 or not 0 <= start - self.next <= _NEAR:
            self._seek(start)
        while self.next < stop:
            if not self._capture.grab():
                raise self._over()
            if self.next >= start:
                gray = self._retrieve()
                self.next += 1
                yield gray
            else:
                self.next += 1

    def _seek(self, start: int) -> None:
        """Come to lie before frame `start`, or on it."""
        if 0 <= self.next <= start and self._index.entry(start) <= self._index.entry(self.next):
            return
        if self._times[:1] == (0.0,) and self._index.entry(start) > 0 and self._land(start - 1):
            return
        self._capture.release()
        self._capture = open_capture(self._path)
        self.next = 0

    def _land(self, frame: int) -> bool:
        """Seek, so that `frame` or one before it is the last that was decoded; False if nobody knows whether it is."""
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, frame)
        if not self._capture.grab():
            return False
        now = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        after = bisect.bisect_left(self._times, now)
        place = min(range(max(0, after - 1), min(after + 1, len(self._times))), key=lambda k: abs(self._times[k] - now))
        around = self._times[max(0, place - 1) : place + 2]
        apart = min(second - first for first, second in itertools.pairwise(around))
        if place > frame or abs(self._times[place] - now) > _CERTAIN * apart:
            return False
        self.next = place + 1
        return True

    def _retrieve(self) -> Array:
        found, self._picture = self._capture.retrieve(self._picture)
        if not found:
            raise self._over()
        gray: Array = cv2.cvtColor(self._picture, cv2.COLOR_BGR2GRAY, self._gray)
        self._gray = gray
        return gray

    def _over(self) -> FramesEndError:
        frames = max(0, self.next)
        return FramesEndError(
            f"{self._path.name} promises {self._index.facts.frames} frames and {frames} can be decoded: upload it "
            "again from the acquisition computer.",
            self._path.name,
            frames,
        )
