"""Tiny videos in any codec, pixel format and container, gray or colour, and what OpenCV makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from fmdj_cloud.worker.index import Index, read_index
from fmdj_cloud.worker.turbo.frames import Recording

FULL = 2
_LOSSY = ("mjpeg", "mpeg4")


def moving(frames: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return luma that holds all levels and changes, (frames, height, width) uint8."""
    rng = np.random.default_rng(seed)
    ramp = np.add.outer(np.arange(height) * 3, np.arange(width) * 2)
    drift = rng.integers(0, 256, frames)[:, None, None]
    return ((ramp[None] + drift + rng.integers(-3, 4, (frames, height, width))) % 256).astype(np.uint8)


def write(
    path: Path,
    luma: np.ndarray,
    codec: str = "mjpeg",
    pixel_format: str = "yuvj420p",
    *,
    chroma: np.ndarray | int = 128,
    color_range: int = 0,
    options: Mapping[str, str] | None = None,
    stamps: np.ndarray | None = None,
    rate: Fraction = Fraction(30),
    container: Mapping[str, str] | None = None,
) -> Path:
    """Write a video.

    `chroma` is one level for all, or one for each frame; `stamps` are times in 1/1000 s. `options` are the
    encoder's, `container` the container's.
    """
    levels = np.broadcast_to(np.asarray(chroma), len(luma))
    height, width = luma.shape[1:]
    with av.open(str(path), "w", options=dict(container or {})) as sink:
        stream = sink.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        context = stream.codec_context
        context.thread_count = 1
        context.options = dict(options or {})
        if color_range or pixel_format.startswith("yuvj"):
            context.color_range = color_range or FULL
        if codec in _LOSSY:
            context.qmin = context.qmax = 2
            context.bit_rate = 400_000_000
        if stamps is not None:
            stream.time_base = context.time_base = Fraction(1, 1000)
        for number, image in enumerate(luma):
            frame = av.VideoFrame(width, height, pixel_format)
            for place, plane in enumerate(frame.planes):
                pixels = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                if place:
                    pixels[:] = levels[number]
                else:
                    pixels[:, :width] = image
            if stamps is not None:
                frame.pts, frame.time_base = int(stamps[number]), Fraction(1, 1000)
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    return path


def seen(path: Path) -> np.ndarray:
    """Return the gray frames that OpenCV, and so Facemap, reads."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2GRAY))
    capture.release()
    return np.array(frames)


def sums(gray: np.ndarray, sbin: int) -> np.ndarray:
    """Return the sums over bins of frames, (n, bins)."""
    n, height, width = gray.shape
    y, x = height // sbin, width // sbin
    whole = gray[:, : y * sbin, : x * sbin].astype(np.int64)
    return whole.reshape(n, y, sbin, x, sbin).sum(axis=(2, 4)).reshape(n, -1)


def record(*rows: Path | list[Path], sbin: int = 1, threads: int = 2, **extras) -> Recording:
    """Return a recording of whole files, sequential; a list holds simultaneous ones."""
    videos = [row if isinstance(row, list) else [row] for row in rows]
    indices: list[list[Index]] = [[read_index(path) for path in row] for row in videos]
    frames = [min(index.facts.frames for index in row) for row in indices]
    return Recording(videos, indices, frames, sbin, threads=threads, **extras)


def taken(recording: Recording, start: int = 0, stop: int | None = None, **asked) -> np.ndarray:
    """Return the binned frames of a range, (n, P)."""
    blocks = recording.blocks(start, recording.nframes if stop is None else stop, **asked)
    return np.concatenate([block.binned.copy() for block in blocks])
