"""A copy of a video with exactly the frames that count, bit for bit."""

from __future__ import annotations

import logging
from pathlib import Path

import av

from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.video import count_frames

log = logging.getLogger(__name__)

_FORMATS = {".avi": "avi", ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov"}
_FALLBACKS = ("avi", "mp4", "mov")
"""Containers whose headers count frames."""


def cut_copy(path: Path, folder: Path, frames: int) -> Path:
    """Copy the first frames of a video without decoding them.

    The copy has the same base name, since Facemap names its file after it, whatever its container: readers
    look at the content. It is taken only if OpenCV finds exactly the frames asked for, in its header and
    by decoding it.

    Parameters
    ----------
    path : Path
    folder : Path
        Existing folder for the copy, not that of `path`.
    frames : int

    Raises
    ------
    InputError
        If no copy with exactly these frames can be made (check ``cut``).
    """
    target = folder / path.name
    own = _FORMATS.get(path.suffix.lower())
    for container in dict.fromkeys([own, *_FALLBACKS] if own else _FALLBACKS):
        assert container is not None  # noqa: S101
        try:
            _copy(path, target, frames, container)
        except av.error.FFmpegError as error:
            log.info("%s can't be copied into %s: %s", path.name, container, error)
            continue
        if count_frames(target) == (frames, frames):
            log.info("%s: copied the %d frames that count", path.name, frames)
            return target
    target.unlink(missing_ok=True)
    raise InputError(
        f"{path.name} can't be cut to the {frames} frames that count without decoding it: make a new file with "
        f"'ffmpeg -i {path.name} -frames:v {frames} -c:v mjpeg -q:v 2 new.avi' and upload that instead.",
        check="cut",
    )


def _copy(path: Path, target: Path, frames: int, container: str) -> None:
    with av.open(str(path)) as source, av.open(str(target), "w", format=container) as sink:
        stream = source.streams.video[0]
        copy = sink.add_stream_from_template(stream)
        taken = 0
        for packet in source.demux(stream):
            if packet.size == 0 or packet.is_corrupt:
                continue
            if taken == frames:
                break
            packet.stream = copy
            sink.mux(packet)
            taken += 1
