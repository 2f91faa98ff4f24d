"""What a video's packets say, without decoding them: its frames, their times, and where decoding can begin."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2

from fmdj_cloud.worker.video import FileFacts, check_own, open_capture, unreadable

AVI = "avi"
_INDEXED = frozenset({AVI, "mov"})
"""Formats of FFmpeg whose header tells where each frame lies."""


@dataclass(frozen=True)
class Index:
    """What a file's packets say.

    Attributes
    ----------
    facts : FileFacts
        `frames` as the packets promise them.
    times_ms : tuple of float
        When each frame is shown, as OpenCV counts time; empty if the packets don't say.
    keys : tuple of int
        Frames at which decoding can begin.
    stamps : tuple of int
        When each frame is shown, in the stream's own units; empty like `times_ms`.
    entries : tuple of int
        When each of `keys` is decoded, in the stream's own units: what containers seek by. Empty like `times_ms`.
    ends : tuple of int
        Byte of the file at which each frame ends, in the order in which they are stored; empty where nobody looked.
    """

    facts: FileFacts
    times_ms: tuple[float, ...]
    keys: tuple[int, ...]
    stamps: tuple[int, ...] = ()
    entries: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    @property
    def longest_wait(self) -> int:
        """Most frames from one that decoding can begin at to the next, or to the end of the file."""
        ends = (*self.keys[1:], self.facts.frames)
        return max((end - key for key, end in zip(self.keys, ends, strict=True)), default=self.facts.frames)

    def entry(self, frame: int) -> int:
        """Return the place in `keys` of the last frame up to `frame` at which decoding can begin, or -1."""
        return bisect.bisect_right(self.keys, frame) - 1


def read_index(path: Path) -> Index:
    """Read what a file's packets say.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If it isn't a video that can be read (check ``readable``).
    """
    packets: list[tuple[int | None, int | None, bool, bool]] = []
    try:
        with av.open(str(path)) as container:
            check_own(container, path.name)
            if not container.streams.video:
                raise unreadable(path.name, "it holds no video")
            stream = container.streams.video[0]
            codec = str(stream.codec_context.name)
            base, start = float(stream.time_base or 0), stream.start_time
            claims = header_claims(container)
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:
                    packets.append((packet.pts, packet.dts, bool(packet.is_keyframe), bool(packet.is_corrupt)))
    except av.error.FFmpegError as error:
        raise unreadable(path.name, f"{error.strerror or error}") from error
    while packets and packets[-1][3]:  # cut off in the middle of its last frame
        packets.pop()
    facts = _facts(path, codec, claims, len(packets))
    if not packets or facts.height == 0 or facts.width == 0:
        raise unreadable(path.name, "it holds no frame")
    shown = sorted({pts for pts, _, _, _ in packets if pts is not None})
    if len(shown) != len(packets) or start is None:
        return Index(facts, (), tuple(k for k, (_, _, key, _) in enumerate(packets) if key))
    place = {pts: k for k, pts in enumerate(shown)}
    keys = sorted((place[pts], pts if dts is None else dts) for pts, dts, key, _ in packets if key and pts is not None)
    return Index(
        facts,
        tuple(1000 * base * (pts - start) for pts in shown),
        tuple(key for key, _ in keys),
        tuple(shown),
        tuple(entry for _, entry in keys),
    )


def header_claims(container: Any) -> tuple[float, int] | None:
    """Return frames per second and frames as a header claims them, of a container that keeps an index there.

    OpenCV says the same; but files that are here and files that are read in ranges must be asked alike, so that no
    result depends on where a file lies.

    Parameters
    ----------
    container : av.container.InputContainer
        With a video stream.

    Returns
    -------
    (float, int) or None
        None where a file of this kind is never read in ranges, or the header doesn't count frames.
    """
    stream = container.streams.video[0]
    if not stream.frames or not _INDEXED.intersection(container.format.name.split(",")):
        return None
    return float(stream.average_rate or 0), int(stream.frames)


def _facts(path: Path, codec: str, claims: tuple[float, int] | None, frames: int) -> FileFacts:
    capture = open_capture(path)
    try:
        fps, claimed = claims or (capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT))
        return FileFacts(
            name=path.name,
            height=int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            width=int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            fps=float(fps),
            codec=codec,
            header_frames=max(0, int(claimed)),
            frames=frames,
        )
    finally:
        capture.release()
