"""Decoding to the luma plane, which is a third of OpenCV's work, where it is proven to lead to the same gray."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType

from fmdj_cloud.worker.index import Index
from fmdj_cloud.worker.turbo.frames.binning import all_equal
from fmdj_cloud.worker.turbo.frames.probe import CODECS, FORMATS, NEUTRAL, gray_levels, pixels_of

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]
Source = Path | Callable[[], BinaryIO]
"""A file, or what opens it anew: something that can be read and sought, such as ranges of an object."""


_START = 16
"""Packets from which OpenCV gets a file's first frames, even where some are shown later than they are stored."""


class NotGrayError(Exception):
    """A frame whose gray is not known from its luma: it is left to OpenCV."""


class LumaDecoder:
    """Decodes frames by their numbers, to gray levels.

    Every frame is known by its time stamp: one that isn't where the index says is never passed on.

    Parameters
    ----------
    source : Path or callable
    index : Index
        Of this file, with `stamps`.
    threads : int
        Of the decoder itself.
    """

    def __init__(self, source: Source, index: Index, threads: int = 1) -> None:
        self._index = index
        self._file = None if isinstance(source, Path) else source()
        self._container: Any = av.open(str(source) if self._file is None else self._file)
        self._stream = self._container.streams.video[0]
        context = self._stream.codec_context
        context.thread_type = "FRAME" if threads > 1 else "NONE"
        context.thread_count = threads
        self._codec = str(context.name)
        self._frames: Iterator[Any] = iter(())
        self._size = index.facts.height, index.facts.width
        self._format = ""
        self._table: Array | None = None
        self._mapped = np.empty(self._size, np.uint8)
        self.next = -1
        """Number of the frame that comes next without seeking, -1 before the first."""

    def close(self) -> None:
        """Close the file."""
        self._frames = iter(())
        self._container.close()
        if self._file is not None:  # PyAV leaves it open
            self._file.close()

    def read(self, start: int, stop: int) -> Iterator[Array]:
        """Yield frames ``start:stop``, each (height, at least width) uint8, which holds until the next.

        Raises
        ------
        NotGrayError
            If a frame has colour, isn't there, or is such that its gray can't be told from its luma.
        """
        try:
            if not self._within_reach(start):
                self._seek(start)
            while self.next < stop:
                frame = self._take()
                if self.next - 1 >= start:
                    yield self._gray(frame)
        except av.error.FFmpegError as error:
            self.next = -1
            raise NotGrayError(f"frame {start} or one after it can't be decoded ({error.strerror or error})") from error
        except NotGrayError:
            self.next = -1
            raise

    def _within_reach(self, start: int) -> bool:
        """Tell whether decoding on leads to a frame sooner than seeking."""
        return 0 <= self.next <= start and self._index.entry(start) <= self._index.entry(self.next)

    def _seek(self, start: int) -> None:
        place = self._index.entry(start)
        if place < 0:
            raise NotGrayError(f"decoding can't begin at frame {start} or before it")
        self.next = self._index.keys[place]
        stamp = self._index.stamps[self.next]
        # Some containers seek by when frames are shown, some by when they are decoded
        if not self._found(stamp, stamp) and not self._found(self._index.entries[place], stamp):
            raise NotGrayError(f"frame {self.next} isn't found where the index says")

    def _found(self, where: int, stamp: int) -> bool:
        """Seek, and decode until the frame of a time stamp is next; False if the container begins behind it."""
        self._container.seek(where, stream=self._stream, backward=True)
        self._frames = self._container.decode(self._stream)
        for frame in self._frames:
            if frame.pts is None or frame.pts > stamp:
                return False
            if frame.pts == stamp:
                self._frames = itertools.chain((frame,), self._frames)
                # One that depends on others may be shown before the key frame it is stored behind, and be spoiled
                return bool(frame.key_frame or frame.pict_type == PictureType.I)
        return False

    def _take(self) -> Any:
        frame = next(self._frames, None)
        if frame is None or frame.pts != self._index.stamps[self.next] or frame.is_corrupt:
            raise NotGrayError(f"frame {self.next} isn't there, or is damaged")
        self.next += 1
        return frame

    def _gray(self, frame: Any) -> Array:
        name = frame.format.name
        if name != self._format:
            if self._codec not in CODECS or name not in FORMATS:
                raise NotGrayError(f"nothing is proven for {self._codec} in {name}")
            table = gray_levels(self._codec, name, *self._size)
            if table is None:
                raise NotGrayError(f"gray is no function of luma in {name} of this size")
            self._format = name
            self._table = None if (table == np.arange(256)).all() else table
        if (frame.height, frame.width) != self._size or frame.rotation:
            raise NotGrayError(f"frame {self.next - 1} is shown in another size, or turned")
        luma, *chroma = frame.planes
        if any(plane.line_size < plane.width for plane in (luma, *chroma)):
            raise NotGrayError(f"frame {self.next - 1} is stored upside down")
        if not all(all_equal(pixels_of(plane), plane.width, NEUTRAL) for plane in chroma):
            raise NotGrayError(f"frame {self.next - 1} has colour")
        pixels = pixels_of(luma)
        if self._table is None:
            return pixels
        cv2.LUT(pixels[:, : self._size[1]], self._table, self._mapped)
        return self._mapped


def copy_start(source: Callable[[], BinaryIO], folder: Path) -> Path:
    """Copy the first packets of a video to a file that OpenCV can read."""
    path = folder / "start.mkv"
    container: Any
    with source() as file, av.open(file) as container, av.open(str(path), "w") as sink:
        stream = container.streams.video[0]
        copy = sink.add_stream_from_template(stream)
        for packet in itertools.islice(container.demux(stream), _START):
            if packet.size:
                packet.stream = copy
                sink.mux(packet)
    return path
