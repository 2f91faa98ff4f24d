"""Size, frames and frame rate from a video's container header, by ranged reads, in pure Python.

For estimates only: headers may lie, the worker counts. Reads ``.avi`` (RIFF, OpenDML) and ``.mp4``/``.mov``
(ISO base media), whatever the file's name. Whatever the bytes, it ends after a bounded number of steps and reads, and
returns None for what it doesn't understand.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

RangedRead = Callable[[int, int], bytes]
"""(offset, length) -> bytes; fewer than asked for only at the end of the file."""

_BLOCK = 64 * 1024
_MAX_READS = 48
_MAX_STEPS = 4096
_MAX_PIXELS = 1 << 15
_MAX_FRAMES = 1 << 40


@dataclass(frozen=True)
class VideoHeader:
    """What a container header claims.

    Attributes
    ----------
    width, height : int
        Pixels.
    frames : int
        0 where the header doesn't say.
    fps : float
        Frames per second, 0 where unknown.
    """

    width: int
    height: int
    frames: int
    fps: float


class _GiveUpError(Exception):
    """The bytes can't be followed any further."""


def read_header(read: RangedRead, size: int) -> VideoHeader | None:
    """Return what a video's header claims.

    Parameters
    ----------
    read : callable
        (offset, length) -> bytes. Its errors are passed on.
    size : int
        Bytes of the file.

    Returns
    -------
    VideoHeader or None
        None if it is neither AVI nor MP4/MOV, has no video stream, or is damaged.
    """
    window = _Window(read, size)
    try:
        start = window.bytes(0, 12)
        if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
            header = _read_avi(window)
        elif start[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
            header = _read_iso(window)
        else:
            return None
    except _GiveUpError:
        return None
    plausible = 0 < header.width <= _MAX_PIXELS and 0 < header.height <= _MAX_PIXELS and header.frames <= _MAX_FRAMES
    return header if plausible else None


class _Window:
    """Read-ahead over ranged reads, with a bound on reads and steps."""

    def __init__(self, read: RangedRead, size: int) -> None:
        self._read = read
        self.size = size
        self._start = 0
        self._data = b""
        self._reads = 0
        self._steps = 0

    def bytes(self, offset: int, length: int) -> bytes:
        self._steps += 1
        if self._steps > _MAX_STEPS or offset < 0 or length > _BLOCK or offset + length > self.size:
            raise _GiveUpError
        if not (self._start <= offset and offset + length <= self._start + len(self._data)):
            self._reads += 1
            if self._reads > _MAX_READS:
                raise _GiveUpError
            self._start = offset
            self._data = self._read(offset, min(_BLOCK, self.size - offset))
            if len(self._data) < length:
                raise _GiveUpError
        begin = offset - self._start
        return self._data[begin : begin + length]

    def unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        return struct.unpack(layout, self.bytes(offset, struct.calcsize(layout)))


def _chunks(window: _Window, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, first byte, stop) of the RIFF chunks in a list."""
    while start + 8 <= stop:
        name, length = window.bytes(start, 4), window.unpack("<I", start + 4)[0]
        yield name, start + 8, min(start + 8 + length, stop)
        start += 8 + length + (length & 1)


def _read_avi(window: _Window) -> VideoHeader:
    for name, start, stop in _chunks(window, 12, window.size):
        if name == b"LIST" and window.bytes(start, 4) == b"hdrl":
            return _read_hdrl(window, start + 4, stop)
    raise _GiveUpError


def _read_hdrl(window: _Window, start: int, stop: int) -> VideoHeader:
    width = height = frames = 0
    fps = 0.0
    stream: VideoHeader | None = None
    extended = 0
    for name, first, last in _chunks(window, start, stop):
        if name == b"avih":
            (period,) = window.unpack("<I", first)
            (frames,) = window.unpack("<I", first + 16)
            width, height = window.unpack("<2I", first + 32)
            fps = 1e6 / period if period else 0.0
        elif name == b"LIST" and window.bytes(first, 4) == b"strl" and stream is None:
            stream = _read_strl(window, first + 4, last)
        elif name == b"LIST" and window.bytes(first, 4) == b"odml" and window.bytes(first + 4, 4) == b"dmlh":
            (extended,) = window.unpack("<I", first + 12)
    if stream is None:
        raise _GiveUpError
    # avih counts only the first RIFF of an OpenDML file; dmlh or the stream's length count all of it
    return VideoHeader(
        width=stream.width or width,
        height=stream.height or height,
        frames=max(extended, stream.frames, frames),
        fps=stream.fps or fps,
    )


def _read_strl(window: _Window, start: int, stop: int) -> VideoHeader | None:
    """Return what a stream's list says, None if it isn't a video's."""
    frames = width = height = 0
    fps = 0.0
    for name, first, _ in _chunks(window, start, stop):
        if name == b"strh":
            if window.bytes(first, 4) != b"vids":
                return None
            scale, rate = window.unpack("<2I", first + 20)
            (frames,) = window.unpack("<I", first + 32)
            fps = rate / scale if scale else 0.0
        elif name == b"strf":
            width, signed_height = window.unpack("<2i", first + 4)
            height = abs(signed_height)
    return VideoHeader(width, height, frames, fps)


def _boxes(window: _Window, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, first byte, stop) of the ISO boxes in a range."""
    while start + 8 <= stop:
        length, kind = window.unpack(">I", start)[0], window.bytes(start + 4, 4)
        first = start + 8
        if length == 1:
            (length,) = window.unpack(">Q", first)
            first += 8
        elif length == 0:
            length = stop - start
        if length < first - start:
            raise _GiveUpError
        yield kind, first, min(start + length, stop)
        start += length


def _read_iso(window: _Window) -> VideoHeader:
    for kind, start, stop in _boxes(window, 0, window.size):
        if kind == b"moov":
            for inner, first, last in _boxes(window, start, stop):
                track = _read_trak(window, first, last) if inner == b"trak" else None
                if track is not None:
                    return track
            break
    raise _GiveUpError


def _find(window: _Window, path: tuple[bytes, ...], start: int, stop: int) -> tuple[int, int] | None:
    """Return (first byte, stop) of the box that a path of types leads to."""
    for kind in path:
        found = next(((first, last) for name, first, last in _boxes(window, start, stop) if name == kind), None)
        if found is None:
            return None
        start, stop = found
    return start, stop


def _read_trak(window: _Window, start: int, stop: int) -> VideoHeader | None:
    """Return what a track says, None if it isn't a video's."""
    handler = _find(window, (b"mdia", b"hdlr"), start, stop)
    if handler is None or window.bytes(handler[0] + 8, 4) != b"vide":
        return None
    entry = _find(window, (b"mdia", b"minf", b"stbl", b"stsd"), start, stop)
    if entry is None:
        return None
    # version and flags, count of entries, then the first one: size, format, 24 bytes, width and height
    width, height = window.unpack(">2H", entry[0] + 8 + 8 + 24)
    sizes = _find(window, (b"mdia", b"minf", b"stbl", b"stsz"), start, stop)
    frames = window.unpack(">I", sizes[0] + 8)[0] if sizes is not None else 0
    seconds = _duration(window, start, stop)
    return VideoHeader(width, height, frames, frames / seconds if seconds > 0 else 0.0)


def _duration(window: _Window, start: int, stop: int) -> float:
    """Return a track's seconds, 0 where unknown."""
    box = _find(window, (b"mdia", b"mdhd"), start, stop)
    if box is None:
        return 0.0
    if window.bytes(box[0], 1) == b"\x01":
        scale, duration = window.unpack(">IQ", box[0] + 20)
    else:
        scale, duration = window.unpack(">2I", box[0] + 12)
    return duration / scale if scale else 0.0
