"""Recordings of a generated subject whose behaviour is known."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fmdj_cloud.contracts import RoiKind
from fmdj_cloud.demo.face import SMALLEST, Face, Pixels
from fmdj_cloud.demo.gui_export import roi_dict, roi_export
from fmdj_cloud.demo.truth import Box, Floats, Truth, load_truth, write_script
from fmdj_cloud.demo.video_files import SUFFIXES, Codec, GrayWriter, truncate_video

__all__ = [
    "ROI_NAMES",
    "Recording",
    "RecordingSpec",
    "Truth",
    "generate",
    "gui_proc",
    "load_truth",
    "truncate_video",
]

ROI_NAMES: dict[str, tuple[RoiKind, str]] = {
    "pupil": (RoiKind.PUPIL, "eye"),
    "blink": (RoiKind.BLINK, "eye"),
    "whisker": (RoiKind.MOTION_SVD, "whisker"),
    "snout": (RoiKind.MOTION_SVD, "snout"),
    "running": (RoiKind.RUNNING, "running"),
}
"""ROIs by name: type and the box that it covers."""
_FRAMES_AT_ONCE = 128


@dataclass(frozen=True)
class RecordingSpec:
    """What to generate; the same spec yields the same bytes.

    Attributes
    ----------
    name : str
        First part of the files' names.
    width, height : int
        Pixels of every view; even.
    nframes : tuple of int
        Frames of each sequential file; the subject goes on from one to the next.
    views : int
        Simultaneous cameras. Every second one sees the mirror image, each with its own brightness.
    fps : float
    codec : {"mjpeg", "h264"}
        ``.avi`` or ``.mp4``.
    seed : int
    noise : float
        Standard deviation of the sensor's noise, gray levels.
    """

    name: str
    width: int = 320
    height: int = 240
    nframes: tuple[int, ...] = (1000,)
    views: int = 1
    fps: float = 30.0
    codec: Codec = "mjpeg"
    seed: int = 0
    noise: float = 1.0

    def __post_init__(self) -> None:
        if self.height < SMALLEST[0] or self.width < SMALLEST[1] or self.height % 2 or self.width % 2:
            raise ValueError(
                f"{self.width}x{self.height} can't be drawn: width and height must be even and at least "
                f"{SMALLEST[1]}x{SMALLEST[0]}"
            )
        if not self.nframes or min(self.nframes) < 2:
            raise ValueError(f"nframes is {self.nframes}: every file needs at least 2 frames")
        if self.views < 1:
            raise ValueError(f"views is {self.views}: at least one camera must look")

    def filename(self, part: int, view: int) -> str:
        """Return the base name of a file, by its place in time and its view (both from 0)."""
        camera = f"_cam{view}" if self.views > 1 else ""
        number = f"_part{part}" if len(self.nframes) > 1 else ""
        return f"{self.name}{camera}{number}{SUFFIXES[self.codec]}"


@dataclass(frozen=True)
class Recording:
    """A generated recording.

    Attributes
    ----------
    spec : RecordingSpec
    videos : tuple of tuple of Path
        Outer sequential, inner simultaneous, as ``facemap.process.run`` takes them.
    truth : Truth
    boxes : dict
        y0, y1, x0, x1 of ``eye``, ``whisker``, ``snout``, ``running`` in view 0, half-open.
    """

    spec: RecordingSpec
    videos: tuple[tuple[Path, ...], ...]
    truth: Truth
    boxes: dict[str, Box]

    def box(self, name: str, view: int = 0) -> Box:
        """Return the box of a moving part as a view sees it."""
        y0, y1, x0, x1 = self.boxes[name]
        return (y0, y1, self.spec.width - x1, self.spec.width - x0) if view % 2 else (y0, y1, x0, x1)

    def pupil_center(self, view: int = 0) -> Floats:
        """Return the pupil's centre as a view sees it, (n, 2): y, x in pixels."""
        if view % 2 == 0:
            return self.truth.pupil_center
        y, x = self.truth.pupil_center.T
        return np.stack([y, self.spec.width - 1 - x], axis=1)

    def running(self, view: int = 0) -> Floats:
        """Return the surface's displacement as a view sees it, (n, 2): dy, dx in pixels."""
        return self.truth.running * (np.array([1.0, -1.0]) if view % 2 else 1.0)

    def rois(self, *names: str) -> list[dict[str, Any]]:
        """Return ROIs exactly as the Facemap GUI saves them.

        Parameters
        ----------
        *names : str
            ``pupil``, ``blink``, ``whisker``, ``snout``, ``running``; in another view than the
            first as ``whisker@1``.
        """
        rois = []
        for number, name in enumerate(names):
            part, _, camera = name.partition("@")
            view = int(camera or 0)
            if part not in ROI_NAMES or not 0 <= view < self.spec.views:
                raise ValueError(
                    f"{name!r} is no ROI of {self.spec.name}: ROIs are {', '.join(ROI_NAMES)}, as NAME@VIEW"
                )
            kind, box = ROI_NAMES[part]
            rois.append(roi_dict(kind, self.box(box, view), number=number, view=view))
        return rois


def generate(spec: RecordingSpec, folder: Path) -> Recording:
    """Generate a recording and write its truth beside it as ``<name>_truth.npz``.

    Parameters
    ----------
    spec : RecordingSpec
    folder : Path
        Made if it doesn't exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    face = Face(spec.height, spec.width, spec.seed, spec.noise)
    script = write_script(sum(spec.nframes), spec.seed, face.max_speed)
    videos = tuple(
        tuple(folder / spec.filename(part, view) for view in range(spec.views)) for part in range(len(spec.nframes))
    )
    energies = {name: _Energy(face.boxes[name]) for name in ("whisker", "snout")}
    start = 0
    for row, length in zip(videos, spec.nframes, strict=True):
        end = start + length
        with ExitStack() as stack:
            writers = [
                stack.enter_context(
                    GrayWriter(path, codec=spec.codec, width=spec.width, height=spec.height, fps=spec.fps)
                )
                for path in row
            ]
            for first in range(start, end, _FRAMES_AT_ONCE):
                frames = face.draw(script, first, min(first + _FRAMES_AT_ONCE, end))
                for energy in energies.values():
                    energy.see(frames)
                for view, writer in enumerate(writers):
                    seen = _as_seen(frames, view)
                    face.add_noise(seen, first, view)
                    writer.write(seen)
        start = end
    radius, center = face.pupil(script)
    truth = Truth(
        pupil_area=np.pi * radius**2,
        pupil_center=center,
        blinks=script.blinks,
        whisker_energy=energies["whisker"].trace(),
        snout_energy=energies["snout"].trace(),
        running=script.running.astype(np.float64),
    )
    truth.save(folder / f"{spec.name}_truth.npz")
    return Recording(spec=spec, videos=videos, truth=truth, boxes=dict(face.boxes))


def gui_proc(
    recording: Recording,
    rois: Sequence[dict[str, Any]],
    sbin: int = 1,
    full_svd: bool = True,
    mot: bool = True,
    mov: bool = False,
) -> dict[str, Any]:
    """Return what "Save ROIs" in the Facemap GUI writes: a whole proc dict for ``facemap_params``.

    Its ``filenames`` are paths on the computer where the ROIs were drawn, not where the videos are.

    Parameters
    ----------
    recording : Recording
    rois : sequence of dict
        As :meth:`Recording.rois` returns them.
    sbin : int
    full_svd, mot, mov : bool
    """
    return roi_export(
        rois,
        [[f"/Users/lab/Desktop/videos/{video.name}" for video in row] for row in recording.videos],
        height=recording.spec.height,
        width=recording.spec.width,
        sbin=sbin,
        full_svd=full_svd,
        mot=mot,
        mov=mov,
    )


class _Energy:
    """Sum of |frame k - frame k-1| over a box, fed piece by piece."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._last: Pixels | None = None
        self._sums: list[Floats] = []

    def see(self, frames: Pixels) -> None:
        """Add the next frames, (n, height, width)."""
        y0, y1, x0, x1 = self._box
        seen = frames[:, y0:y1, x0:x1]
        if self._last is not None:
            seen = np.concatenate([self._last, seen])
        difference = np.abs(np.diff(seen.astype(np.int16), axis=0))
        self._sums.append(difference.sum(axis=(1, 2), dtype=np.float64))
        self._last = seen[-1:]

    def trace(self) -> Floats:
        """Return the energy of every frame, (n,); row 0 copies row 1."""
        energy = np.concatenate(self._sums)
        return np.concatenate([energy[:1], energy])


def _as_seen(frames: Pixels, view: int) -> Pixels:
    """Return a copy of the frames as a camera sees them."""
    if view == 0:
        return frames.copy()
    brightness = np.clip(np.arange(256) * (1 - 0.06 * min(view, 5)) + 6, 12, 242)
    seen: Pixels = np.rint(brightness).astype(np.uint8)[frames[:, :, ::-1] if view % 2 else frames]
    return seen
