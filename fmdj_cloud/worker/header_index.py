"""A video's index from its header alone, for files of which only some ranges are read."""

from __future__ import annotations

import itertools
import struct
from typing import Any, BinaryIO, NamedTuple

import av

from fmdj_cloud.worker.index import AVI, Index, header_claims
from fmdj_cloud.worker.video import FileFacts, check_own, unreadable

_LISTING, _LISTED = 1 << 16, 64
"""Bytes that an AVI's index takes at most, and each frame in it, with its sound."""
_BOX = struct.Struct("!I4sQ")
"""Length of a box, its type, and the length where the first is 1."""
_BOXES = 64
_FRAGMENTS = frozenset({b"moof", b"sidx"})


class _Entry(NamedTuple):
    """A frame as a container's index lists it: when it is decoded, where it ends, what it is."""

    stored: int
    end: int
    key: bool
    discarded: bool


def header_index(name: str, file: BinaryIO, size: int) -> Index | None:
    """Read a video's index where its container keeps one: AVI and MP4 do, others must be read whole.

    Of 640x480 mjpeg it reads 0.2 MB of a file of any length. Where frames are shown in another order than they are
    stored in, they are taken to follow each other at a constant rate, and groups of frames to be closed. What isn't so
    is found when frames are decoded, since each carries its own time.

    Parameters
    ----------
    name : str
        Base name.
    file : file-like
        Can be read and sought.
    size : int
        Bytes of the whole file.

    Returns
    -------
    Index or None
        None if the header doesn't tell enough.

    Raises
    ------
    InputError
        If it isn't a video (check ``readable``).
    """
    try:
        with av.open(file) as container:
            check_own(container, name)
            if not container.streams.video:
                raise unreadable(name, "it holds no video")
            stream: Any = container.streams.video[0]
            # Their values are gone with the container
            entries = [
                _Entry(entry.timestamp, entry.pos + entry.size, bool(entry.is_keyframe), bool(entry.is_discard))
                for entry in stream.index_entries
                if entry.size
            ]
            while entries and entries[-1].end > size:  # cut off before its end
                entries.pop()
            complete = len(entries) > 1 and not any(entry.discarded for entry in entries)
            if not complete or stream.start_time is None or not _whole(container, file, size):
                return None
            stamps = _stamps([entry.stored for entry in entries], stream.start_time, _reordered(stream))
            context = stream.codec_context
            claims = header_claims(container)
            if claims is None:
                return None
            facts = FileFacts(
                name=name,
                height=context.height,
                width=context.width,
                fps=claims[0],
                codec=str(context.name),
                header_frames=claims[1],
                frames=len(entries),
            )
            base = float(stream.time_base or 0)
            timeless = container.format.name == AVI
    except av.error.FFmpegError as error:
        raise unreadable(name, f"{error.strerror or error}") from error
    keys = [number for number, entry in enumerate(entries) if entry.key]
    if timeless and len(keys) < len(entries):  # AVI doesn't say when frames are shown that others depend on
        return None
    if stamps is None or not keys or not facts.height or not facts.width:
        return None
    return Index(
        facts,
        tuple(1000 * base * (stamp - stamps[0]) for stamp in stamps),
        tuple(keys),
        stamps,
        tuple(entries[key].stored for key in keys),
        tuple(entry.end for entry in entries),
    )


def _whole(container: Any, file: BinaryIO, size: int) -> bool:
    """Tell whether a container's index was read to its end.

    Of an MP4 in fragments only those are listed that were come by, and its header counts those of the first or none.
    An AVI's header may count fewer than its index lists: its writer fills it in first, or last. Behind what is listed
    its index alone may follow, and no further list of frames that none tells of.
    """
    stream = container.streams.video[0]
    listed, counted = len(stream.index_entries), int(stream.frames)
    if container.format.name == AVI:
        end = max(entry.pos + entry.size for entry in stream.index_entries)
        return 0 < counted <= listed and size - end <= _LISTING + listed * _LISTED
    return 0 < counted == listed and not _in_fragments(file, size)


def _in_fragments(file: BinaryIO, size: int) -> bool:
    """Tell whether an MP4 has fragments (ISO/IEC 14496-12, 8.8), or so many boxes that nobody knows."""
    before, at = file.tell(), 0
    for _ in range(_BOXES):
        file.seek(at)
        head = file.read(_BOX.size).ljust(_BOX.size, b"\0")
        if head[4:8] in _FRAGMENTS:
            break
        short, _, long = _BOX.unpack(head)
        at += size if short == 0 else long if short == 1 else short  # 0: to the end of the file
        if at >= size:
            break
    file.seek(before)
    return at < size


def _reordered(stream: Any) -> bool:
    """Tell whether frames may be shown in another order than they are stored in."""
    return bool(stream.codec_context.has_b_frames)


def _stamps(stored: list[int], start: int, reordered: bool) -> tuple[int, ...] | None:
    """Return the times at which frames are shown, by those at which they are decoded."""
    steps = {second - first for first, second in itertools.pairwise(stored)}
    if min(steps) <= 0 or (reordered and len(steps) > 1):
        return None
    return tuple(stamp - stored[0] + start for stamp in stored)
