"""What a video file really holds, whatever its header says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2

from fmdj_cloud.errors import InputError

_TELL_EVERY = 512
_LISTS = frozenset({"concat", "dash", "hls", "image2", "imf", "lavfi", "rtp", "rtsp", "sdp", "webm_dash_manifest"})
"""Formats of FFmpeg whose frames lie in other files, which need not be the task's."""


@dataclass(frozen=True)
class FileFacts:
    """What was found in one video file.

    Attributes
    ----------
    name : str
        Base name.
    height, width : int
        Pixels, as they are displayed.
    fps : float
        Frames per second, 0 where unknown.
    codec : str
    header_frames : int
        Frames that OpenCV, and so Facemap, takes from the header; 0 where it claims none.
    frames : int
        Frames from the first on that can be decoded completely: the truth.
    """

    name: str
    height: int
    width: int
    fps: float
    codec: str
    header_frames: int
    frames: int


def read_facts(path: Path, on_frame: Callable[[int], None] | None = None) -> FileFacts:
    """Find out what a video file holds.

    Every frame is decoded, by the library that Facemap reads with: packets alone don't prove that it gets
    frames out of them (a damaged packet in the middle may end its reading there), and it costs a few
    percent of what Facemap takes. The packets tell what the decoder hides: that the last one is cut off
    and its frame gray from there on.

    Parameters
    ----------
    path : Path
    on_frame : callable, optional
        Called now and then with the number of frames seen.

    Raises
    ------
    InputError
        If it isn't a video that can be read (check ``readable``).
    """
    codec, packets, damaged = _read_packets(path)
    capture = open_capture(path)
    try:
        decoded = 0
        while capture.grab():
            decoded += 1
            if on_frame is not None and decoded % _TELL_EVERY == 0:
                on_frame(decoded)
        facts = FileFacts(
            name=path.name,
            height=int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            width=int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            fps=float(capture.get(cv2.CAP_PROP_FPS)),
            codec=codec,
            header_frames=max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))),
            frames=min(decoded, packets - damaged),
        )
    finally:
        capture.release()
    if facts.frames == 0 or facts.height == 0 or facts.width == 0:
        raise InputError(
            f"{path.name} is a {codec} video without a single frame that can be decoded: upload it again, or export "
            "it as mjpeg or h264.",
            check="readable",
        )
    return facts


def open_capture(path: Path) -> cv2.VideoCapture:
    """Open a video as Facemap does.

    Raises
    ------
    InputError
        If OpenCV can't (check ``readable``): Facemap would wait for it for ever.
    """
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise unreadable(path.name, "it can't be opened")
    return capture


def count_frames(path: Path) -> tuple[int, int]:
    """Return the frames that OpenCV takes from a video's header, and those that it decodes."""
    capture = open_capture(path)
    try:
        claimed = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        decoded = 0
        while capture.grab():
            decoded += 1
    finally:
        capture.release()
    return claimed, decoded


def _read_packets(path: Path) -> tuple[str, int, int]:
    """Return a video's codec, its packets, and how many of them are damaged."""
    packets = damaged = 0
    try:
        with av.open(str(path)) as container:
            check_own(container, path.name)
            if not container.streams.video:
                raise unreadable(path.name, "it holds no video")
            stream = container.streams.video[0]
            codec = str(stream.codec_context.name)
            for packet in container.demux(stream):
                if packet.size:
                    packets += 1
                    damaged += bool(packet.is_corrupt)
    except av.error.FFmpegError as error:
        raise unreadable(path.name, f"{error.strerror or error}") from error
    return codec, packets, damaged


def check_own(container: Any, name: str) -> None:
    """Refuse what only names the files that its frames lie in: any that the worker can read, also those of others.

    Parameters
    ----------
    container : av.container.InputContainer
    name : str
        Base name.

    Raises
    ------
    InputError
        If it is such a list (check ``readable``).
    """
    found = _LISTS.intersection(str(container.format.name).split(","))
    if found:
        raise unreadable(name, f"it is a list of other files ({', '.join(sorted(found))}) and holds no frame itself")


def unreadable(name: str, why: str) -> InputError:
    """Return the error for a file that is no video that can be read."""
    return InputError(
        f"{name} can't be read as a video ({why[0].lower()}{why[1:]}): check that it was recorded to its end and "
        "uploaded whole, or export it as mjpeg or h264.",
        check="readable",
    )
