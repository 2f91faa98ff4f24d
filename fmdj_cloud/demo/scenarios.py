"""The recordings of the demo: what each shows, its parameters, and how it must end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import FailureClass, Kind, RunState
from fmdj_cloud.demo.recordings import Recording, RecordingSpec, generate, gui_proc, truncate_video
from fmdj_cloud.errors import UsageError

SBIN = 4


@dataclass(frozen=True)
class Scenario:
    """One recording of the demo.

    Attributes
    ----------
    spec : RecordingSpec
        What is generated; its name is the scenario's.
    story : str
        What it shows, in one line.
    params : callable
        From the recording to ``facemap_params``; to ``bbox`` for pose inference.
    mot_svd, mov_svd : bool
        ``do_mot_svd`` and ``do_mov_svd`` of the task.
    truncated : bool
        Whether the video is cut in the middle before it is uploaded.
    shared : bool
        Whether the video lies in a shared folder (``file://``), not in the bucket.
    imported : bool
        Whether Facemap has run already: the task loads its file.
    kind : Kind
        Of the task table.
    """

    spec: RecordingSpec
    story: str
    params: Callable[[Recording], Any]
    mot_svd: bool = True
    mov_svd: bool = False
    truncated: bool = False
    shared: bool = False
    imported: bool = False
    kind: Kind = Kind.SVD

    @property
    def name(self) -> str:
        """Name of the recording."""
        return self.spec.name

    @property
    def expected(self) -> tuple[RunState, FailureClass | None]:
        """State and failure class that the run must end with."""
        return (RunState.FAILED, FailureClass.INPUT) if self.truncated else (RunState.LOADED, None)

    def make(self, folder: Path) -> Recording:
        """Generate the recording's videos and truth in `folder`."""
        recording = generate(self.spec, folder)
        if self.truncated:
            whole = recording.videos[0][0]
            cut = whole.with_name(f"cut-{whole.name}")
            truncate_video(whole, cut, 0.5)
            cut.replace(whole)
        return recording


def _one_camera(recording: Recording) -> dict[str, Any]:
    rois = recording.rois("whisker", "snout", "pupil", "blink", "running")
    return {"sbin": SBIN, "proc": {"fullSVD": True, "rois": rois}}


def _two_views(recording: Recording) -> dict[str, Any]:
    files = range(sum(len(row) for row in recording.videos))
    views = len(recording.videos[0])
    return {"sbin": SBIN, "views": [list(files[start : start + views]) for start in range(0, len(files), views)]}


def _gui_export(recording: Recording) -> dict[str, Any]:
    rois = recording.rois("whisker", "snout", "pupil")
    return gui_proc(recording, rois, sbin=2, full_svd=False, mot=True, mov=True)


SCENARIOS = (
    Scenario(
        RecordingSpec("one-camera", width=320, height=240, nframes=(2400,), codec="mjpeg", seed=1),
        "one camera: full frame, two motion ROIs, pupil, blink, running",
        _one_camera,
    ),
    Scenario(
        RecordingSpec("two-views", width=256, height=192, nframes=(1100, 1000), views=2, codec="h264", seed=2),
        "two simultaneous views in two sequential files each",
        _two_views,
    ),
    Scenario(
        RecordingSpec("gui-rois", width=320, height=240, nframes=(1200,), codec="mjpeg", seed=3),
        "ROIs only, movie SVD too, parameters as the Facemap GUI saved them",
        _gui_export,
        mov_svd=True,
    ),
    Scenario(
        RecordingSpec("truncated", width=320, height=240, nframes=(900,), codec="mjpeg", seed=4),
        "a video cut off in the middle: must be refused",
        lambda recording: {"sbin": SBIN},
        truncated=True,
    ),
    Scenario(
        RecordingSpec("shared-folder", width=320, height=240, nframes=(600,), codec="h264", seed=5),
        "a video in a shared folder, outputs in the bucket",
        lambda recording: {"sbin": SBIN, "proc": {"fullSVD": False, "rois": recording.rois("whisker", "blink")}},
        shared=True,
    ),
    Scenario(
        RecordingSpec("imported", width=320, height=240, nframes=(700,), codec="mjpeg", seed=6),
        "Facemap has run already: its file is loaded",
        lambda recording: {"sbin": SBIN},
        imported=True,
    ),
    Scenario(
        RecordingSpec("pose", width=320, height=240, nframes=(300, 300), codec="h264", seed=7),
        "poses in two sequential files, by a network that was trained a moment ago",
        lambda recording: None,
        kind=Kind.POSE,
    ),
)


def chosen(scenarios: tuple[Scenario, ...], names: Sequence[str]) -> tuple[Scenario, ...]:
    """Return the scenarios of these names in their usual order, all of them for no name.

    Raises
    ------
    UsageError
        If there is none of a name.
    """
    known = [scenario.name for scenario in scenarios]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"The demo has no recording {', '.join(unknown)}: it has {', '.join(known)}.")
    return tuple(scenario for scenario in scenarios if not names or scenario.name in names)


def shortened(scenarios: tuple[Scenario, ...], frames: int) -> tuple[Scenario, ...]:
    """Return the scenarios with at most `frames` frames per file."""
    return tuple(
        replace(s, spec=replace(s.spec, nframes=tuple(min(n, frames) for n in s.spec.nframes))) for s in scenarios
    )
