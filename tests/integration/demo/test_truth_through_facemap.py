"""What the installed Facemap finds in generated recordings is their truth."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.demo.recordings import Recording, RecordingSpec, generate, gui_proc

pytestmark = pytest.mark.integration


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


@pytest.fixture(scope="module", params=["one camera", "two cameras in two files"])
def recording(request, tmp_path_factory) -> Recording:
    specs = {
        "one camera": RecordingSpec("one", width=160, height=120, nframes=(400,), seed=11),
        "two cameras in two files": RecordingSpec(
            "two", width=160, height=120, nframes=(180, 160), views=2, codec="h264", seed=12
        ),
    }
    return generate(specs[request.param], tmp_path_factory.mktemp("recording"))


@pytest.fixture(scope="module")
def facemap(recording, tmp_path_factory) -> Callable[..., dict[str, Any]]:
    """Run the installed Facemap on ROIs that don't disturb each other (faults F2, F3)."""

    def run(*names: str) -> dict[str, Any]:
        from facemap import process

        proc = gui_proc(recording, recording.rois(*names), 2, False)
        savepath = str(tmp_path_factory.mktemp("out"))
        videos = [[str(video) for video in row] for row in recording.videos]
        with contextlib.redirect_stdout(io.StringIO()):
            saved = process.run(videos, proc=proc, savepath=savepath)
        return np.load(saved, allow_pickle=True).item()

    return run


def test_the_pupil_is_found(recording, facemap):
    view = recording.spec.views - 1
    (pupil,) = facemap(f"pupil@{view}")["pupil"]
    opened = recording.truth.eye_open
    y0, _, x0, _ = recording.box("eye", view)
    assert correlation(pupil["area"][opened], recording.truth.pupil_area[opened]) > 0.99
    assert np.abs(pupil["com"] + [y0, x0] - recording.pupil_center(view))[opened].max() < 0.2
    assert np.all(np.isfinite(pupil["area"]))


def test_every_blink_is_found_and_nothing_else(recording, facemap):
    (blink,) = facemap("blink")["blink"]
    assert len(recording.truth.blinks) >= 2
    np.testing.assert_array_equal(blink < 0.5 * np.median(blink), ~recording.truth.eye_open)


def test_motion_is_that_of_its_own_roi(recording, facemap):
    _, whisker, snout = facemap("whisker", "snout")["motion"]
    truth = recording.truth
    # Less than 500 frames: Facemap's motion comes one frame early (F1).
    assert correlation(whisker[:-1], truth.whisker_energy[1:]) > 0.98
    assert correlation(snout[:-1], truth.snout_energy[1:]) > 0.98
    assert abs(correlation(whisker[:-1], truth.snout_energy[1:])) < 0.3
    assert abs(correlation(snout[:-1], truth.whisker_energy[1:])) < 0.3
