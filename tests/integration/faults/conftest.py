"""One set of runs of the installed Facemap, shared by the tests of its faults."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import RoiKind
from fmdj_cloud.demo.gui_export import roi_dict
from fmdj_cloud.demo.recordings import Recording, RecordingSpec, generate, truncate_video

SMALL = {"width": 160, "height": 120}


@dataclass(frozen=True)
class Run:
    """What ``facemap.process.run`` saved, and what it printed."""

    proc: dict[str, Any]
    printed: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def run_facemap(tmp_path_factory) -> Callable[..., Run]:
    """Run the installed Facemap as it is."""

    def run(
        videos: Sequence[Sequence[Path]],
        rois: list[dict[str, Any]] | None = None,
        *,
        full_svd: bool = False,
        mot: bool = True,
    ) -> Run:
        from facemap import process

        proc = {
            "sbin": 2,
            "fullSVD": full_svd,
            "save_mat": False,
            "rois": rois,
            "sy": np.array([0]),
            "sx": np.array([0]),
            "savepath": str(tmp_path_factory.mktemp("out")),
        }
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            saved = process.run([[str(video) for video in row] for row in videos], proc=proc, motSVD=mot)
        return Run(np.load(saved, allow_pickle=True).item(), printed.getvalue())

    return run


@pytest.fixture(scope="module")
def recording(folder) -> Recording:
    """600 frames: more than one block of Facemap's, less than two chunks of its SVD."""
    return generate(RecordingSpec("mouse", nframes=(600,), seed=4, **SMALL), folder)


@pytest.fixture(scope="module")
def motion_run(recording, run_facemap) -> Run:
    """The full frame and the same motion ROI twice."""
    return run_facemap(recording.videos, recording.rois("whisker", "whisker"), full_svd=True)


@pytest.fixture(scope="module")
def eye_run(recording, run_facemap) -> Run:
    """The full frame with a pupil ROI inside a blink ROI."""
    y0, y1, x0, x1 = recording.boxes["eye"]
    pupil = roi_dict(RoiKind.PUPIL, (y0 + 4, y1 - 4, x0 + 8, x1 - 8), number=0)
    return run_facemap(recording.videos, [pupil, *recording.rois("blink")], full_svd=True)


@pytest.fixture(scope="module")
def trace_run(recording, run_facemap) -> Run:
    """A blink and a running ROI, which don't overlap, and no SVD."""
    return run_facemap(recording.videos, recording.rois("blink", "running"), mot=False)


@pytest.fixture(scope="module")
def two_chunk_run(folder, run_facemap) -> Run:
    """The full frame and two motion ROIs of different sizes, in two chunks of 1,000 frames."""
    spec = RecordingSpec("long", width=96, height=72, nframes=(2000,), seed=5)
    long = generate(spec, folder)
    return run_facemap(long.videos, long.rois("whisker", "snout"), full_svd=True)


@pytest.fixture(scope="module")
def truncated(recording, folder) -> Path:
    """A copy of the recording with half of its bytes; its header claims 600 frames."""
    return truncate_video(recording.videos[0][0], folder / "cut.avi", 0.5)


@pytest.fixture(scope="module")
def short(folder) -> Recording:
    """Two views of 120 frames."""
    return generate(RecordingSpec("short", nframes=(120,), views=2, seed=6, **SMALL), folder)
