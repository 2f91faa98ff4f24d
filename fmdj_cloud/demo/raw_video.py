"""An uncompressed video whose motion is known, made without any video library: the controller's image has none."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT, FRAMES, FPS = 96, 72, 400, 30
STILL = slice(150, 250)
"""Frames in which nothing but the sensor's noise changes."""
_SIZE = 14
_KEY_FRAME = 0x10
_HAS_INDEX = 0x10


def draw(seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return gray frames, (n, height, width): a bright square circles over a textured ground, and rests in between."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(40, 90, (HEIGHT, WIDTH), dtype=np.int16)
    frames = np.repeat(ground[None], FRAMES, axis=0)
    angle = 0.0
    for index in range(FRAMES):
        if not STILL.start <= index < STILL.stop:
            angle += 0.11
        y = int((HEIGHT - _SIZE) * (0.5 + 0.45 * np.sin(angle)))
        x = int((WIDTH - _SIZE) * (0.5 + 0.45 * np.cos(1.3 * angle)))
        frames[index, y : y + _SIZE, x : x + _SIZE] += 110
    frames += rng.integers(-1, 2, frames.shape, dtype=np.int16)
    return frames.astype(np.uint8)


def write_avi(path: Path, frames: npt.NDArray[np.uint8]) -> None:
    """Write gray frames as an AVI of uncompressed pictures.

    Parameters
    ----------
    path : Path
    frames : ndarray
        (n, height, width) uint8; width a multiple of 4, as rows of uncompressed pictures are padded otherwise.
    """
    count, height, width = frames.shape
    size = width * height * 3
    picture = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, size, 0, 0, 0, 0)
    stream = struct.pack(
        "<4s4sIHHIIIIIIIIhhhh", b"vids", b"DIB ", 0, 0, 0, 0, 1, FPS, 0, count, size, 0, 0, 0, 0, width, height
    )
    header = struct.pack(
        "<IIIIIIIIII16x", 1_000_000 // FPS, size * FPS, 0, _HAS_INDEX, count, 0, 1, size, width, height
    )
    lists = _chunk(
        b"LIST",
        b"hdrl"
        + _chunk(b"avih", header)
        + _chunk(b"LIST", b"strl" + _chunk(b"strh", stream) + _chunk(b"strf", picture)),
    )
    # pictures are stored from the lowest row up, three bytes a pixel
    pixels = np.repeat(frames[:, ::-1, :, None], 3, axis=3)
    movie = b"".join(_chunk(b"00db", picture.tobytes()) for picture in pixels)
    index = b"".join(
        struct.pack("<4sIII", b"00db", _KEY_FRAME, 4 + number * (size + 8), size) for number in range(count)
    )
    path.write_bytes(_chunk(b"RIFF", b"AVI " + lists + _chunk(b"LIST", b"movi" + movie) + _chunk(b"idx1", index)))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
