"""Video files of gray frames, and damaged copies of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import av
import numpy as np
import numpy.typing as npt

Codec = Literal["mjpeg", "h264"]
SUFFIXES: dict[Codec, str] = {"mjpeg": ".avi", "h264": ".mp4"}
_NEUTRAL = 128
"""Chroma of gray."""


class GrayWriter:
    """Write gray frames as a video whose gray levels survive: full range, little compression.

    Parameters
    ----------
    path : Path
        New file; its suffix names the container (``.avi``, ``.mp4``).
    codec : {"mjpeg", "h264"}
    width, height : int
        Pixels; even, as both codecs store colour at half the size.
    fps : float
    """

    def __init__(self, path: Path, *, codec: Codec, width: int, height: int, fps: float) -> None:
        # The index comes first in an mp4, so that a cut copy can still be opened, as on a full disk.
        options = {"movflags": "+faststart"} if codec == "h264" else {}
        self._container = av.open(str(path), "w", options={"fflags": "+bitexact", **options})
        rate = Fraction(fps).limit_denominator(1001)
        stream: Any = self._container.add_stream("mjpeg" if codec == "mjpeg" else "libx264", rate=rate)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p"
        context = stream.codec_context
        context.color_range = 2
        context.thread_count = 1  # a file's bytes must not depend on the machine
        if codec == "mjpeg":
            context.qmin = context.qmax = 2
            context.bit_rate = 400_000_000
        else:
            context.options = {"crf": "10", "preset": "ultrafast", "g": "60"}
        self._stream = stream
        self._planes = np.full((height * 3 // 2, width), _NEUTRAL, np.uint8)
        self._height = height

    def __enter__(self) -> GrayWriter:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if exc_type is None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def write(self, frames: npt.NDArray[np.uint8]) -> None:
        """Append frames, (n, height, width)."""
        for image in frames:
            self._planes[: self._height] = image
            frame = av.VideoFrame.from_ndarray(self._planes, format="yuvj420p")
            frame.color_range = 2
            self._container.mux(self._stream.encode(frame))


def truncate_video(path: Path, out: Path, keep_fraction: float) -> Path:
    """Write a damaged copy: the first bytes of a video, as a full disk or a broken copy leaves it.

    The header still claims every frame.

    Parameters
    ----------
    path : Path
        A video that :class:`GrayWriter` wrote.
    out : Path
        New file.
    keep_fraction : float
        Part of the bytes to keep, between 0 and 1.

    Returns
    -------
    Path
        `out`.
    """
    if not 0 < keep_fraction < 1:
        raise ValueError(f"keep_fraction is {keep_fraction}, not between 0 and 1")
    data = path.read_bytes()
    out.write_bytes(data[: int(len(data) * keep_fraction)])
    return out
