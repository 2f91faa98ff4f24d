"""Which gray level OpenCV makes of a luma level, found out by letting it convert frames made for that.

OpenCV decodes a video and converts it to BGR by rules that depend on the pixel format, the range that it takes it to
have, the size of the frame and the processor's instructions; Facemap then has it converted to gray. For gray content
the result is a function of the luma alone, which is measured here, level by level, on a video of the same codec,
pixel format and size. Where it is no function, there is no table.
"""

from __future__ import annotations

import functools
import logging
import tempfile
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

NEUTRAL = 128
"""Chroma of gray."""
FORMATS = frozenset({"gray", *(f"yuv{j}{kind}p" for j in ("", "j") for kind in ("420", "422", "444"))})
"""Pixel formats whose first plane is an 8-bit luma, and whose others, if any, are 8-bit chroma."""
CODECS = frozenset({"mjpeg", "h264", "hevc", "ffv1", "huffyuv", "ffvhuff", "rawvideo"})
"""Codecs that the FFmpeg within OpenCV and PyAV's, years apart, decode to the same bits: their standards ask for it,
or, for mjpeg, both compute alike. Not so mpeg4, where one pixel in 10^5 differs by one level."""
_LEVELS = 256
_FRAMES = 4
_LOSSLESS = "ffv1"
_ENCODERS = {"mjpeg": "mjpeg", "h264": "libx264"}
"""By decoder: frames are made with the same codec where the conversion may depend on it, by its padding of frames."""
_SUFFIXES = {"mjpeg": ".avi", "libx264": ".mp4", _LOSSLESS: ".mkv"}
_BEST: dict[str, dict[str, str]] = {"libx264": {"qp": "0", "preset": "ultrafast"}}


@functools.cache
def gray_levels(codec: str, pixel_format: str, height: int, width: int) -> Array | None:
    """Return OpenCV's gray level of every luma level in frames without colour.

    Parameters
    ----------
    codec : str
        Name of the decoder.
    pixel_format : str
        One of :data:`FORMATS`.
    height, width : int

    Returns
    -------
    ndarray of uint8, shape (256,), or None
        None if gray isn't a function of the luma level, or if it can't be found out here.
    """
    encoder = _ENCODERS.get(codec, _LOSSLESS)
    with tempfile.TemporaryDirectory(prefix="fmdj-levels-") as folder:
        path = Path(folder) / f"levels{_SUFFIXES[encoder]}"
        try:
            _write(path, encoder, pixel_format, height, width)
            table = _measure(path, pixel_format)
        except (av.error.FFmpegError, ValueError, LookupError) as error:
            log.info("no %s video in %s of %dx%d can be made here: %s", codec, pixel_format, width, height, error)
            return None
    if table is not None:
        table.flags.writeable = False
    return table


def _write(path: Path, encoder: str, pixel_format: str, height: int, width: int) -> None:
    """Write frames in which every luma level occurs at any place."""
    frames = max(_FRAMES, -(-_FRAMES * 32 * _LEVELS // (height * width)))
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(encoder, rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        context = stream.codec_context
        context.thread_count = 1
        context.options = _BEST.get(encoder, {})
        if pixel_format.startswith("yuvj"):
            context.color_range = 2
        if encoder == "mjpeg":
            context.qmin = context.qmax = 1
            context.bit_rate = 1_000_000_000
        for _ in range(frames):
            frame: Any = av.VideoFrame(width, height, pixel_format)
            for number, plane in enumerate(frame.planes):
                pixels = np.frombuffer(plane, np.uint8)
                pixels[:] = NEUTRAL if number else rng.integers(0, _LEVELS, len(pixels), np.uint8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _measure(path: Path, pixel_format: str) -> Array | None:
    """Return OpenCV's gray level of every luma level in a video; None if it has several, or one never occurs."""
    pairs = np.zeros(_LEVELS * _LEVELS, bool)
    capture = cv2.VideoCapture(str(path))
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(container.streams.video[0]):
                found, picture = capture.read()
                if not found or frame.format.name != pixel_format or picture.shape[:2] != (frame.height, frame.width):
                    return None
                gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
                luma = pixels_of(frame.planes[0])[:, : frame.width]
                pairs[luma.astype(np.int64) * _LEVELS + gray] = True
    finally:
        capture.release()
    table = pairs.reshape(_LEVELS, _LEVELS)
    if not (table.sum(axis=1) == 1).all():
        return None
    levels: Array = table.argmax(axis=1).astype(np.uint8)
    return levels


def pixels_of(plane: Any) -> Array:
    """Return a plane of a decoded frame without copying it, (height, stride) uint8: rows may be padded."""
    pixels: Array = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    return pixels
