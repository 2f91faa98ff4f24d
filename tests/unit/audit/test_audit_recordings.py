"""What RecordingInfo says is doubted only where no honest way of counting explains it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fmdj_cloud.audit.facts import RecordingFacts
from fmdj_cloud.audit.findings import Certainty, Repair
from fmdj_cloud.audit.pose_checks import check_pose
from fmdj_cloud.audit.recording_checks import check_duration, check_length
from fmdj_cloud.audit.svd_checks import check_svd
from tests.support.audit import moving
from tests.unit.audit.test_audit_pose import SOUND, TRUTH
from tests.unit.audit.test_audit_svd import RECORDING, asked, sound, truth

N = moving.NFRAMES
TWO_VIEWS = replace(RECORDING, nframes=2 * N, duration_s=2 * N / 30, views=2)
"""As element-facemap counts: the frames of both."""


@pytest.mark.parametrize("against", [truth(), asked(), None], ids=["file", "task", "nothing"])
@pytest.mark.parametrize("off", [0, 3])
@pytest.mark.parametrize("duration_s", [2 * N / 30, N / 30])
def test_two_simultaneous_views_are_sound_however_they_are_counted(against, off, duration_s) -> None:
    recording = replace(TWO_VIEWS, nframes=2 * N - off, duration_s=duration_s)
    assert check_svd(replace(sound(), recording=recording), against) == []
    assert check_svd(replace(sound(), recording=replace(recording, nframes=N, duration_s=N / 30)), against) == []
    without = replace(sound(), regions=tuple(replace(row, motion=None) for row in sound().regions), recording=recording)
    assert [one for one in check_svd(without, against) if one.check in ("length", "frames")] == []


@pytest.mark.parametrize("truth_", [TRUTH, None])
def test_points_of_one_of_two_views_are_sound(truth_) -> None:
    recording = replace(SOUND.recording, nframes=1200, duration_s=40.0, views=2)
    assert check_pose(replace(SOUND, recording=recording), truth_) == []


@pytest.mark.parametrize("nframes", [2 * N, 4 * N])
def test_missing_sequential_files_are_found_with_two_views_too(nframes) -> None:
    # two files after each other of two views, counted once or for every view; results of a third of the first file
    recording = replace(TWO_VIEWS, nframes=nframes, files=2)
    (found,) = check_length(N // 3, recording, None, "Region", 1, "")
    assert (found.check, found.certainty) == ("frames", Certainty.LIKELY)
    (found,) = check_length(N, recording, 2 * N, "Region", 1, "")
    assert (found.check, found.certainty, found.repair) == ("frames", Certainty.CERTAIN, Repair.RELOAD)


def test_files_that_may_be_views_are_told_so() -> None:
    recording = replace(RECORDING, nframes=2 * N, files=2)
    (found,) = check_length(N, recording, None, "Region", 1, "")
    assert "if they aren't simultaneous views (facemap_params['views'] says which are)" in found.sentence
    (found,) = check_length(N - 50, recording, None, "Region", 1, "")
    assert "simultaneous" not in found.sentence


@pytest.mark.parametrize(
    ("nframes", "fps", "duration_s", "rate"),
    [
        (900, 29.0, 900 / 29.97, None),  # int(29.97), and the duration by the videos' own rate
        (900, 29.0, 900 / 29.97, 29.97),
        (900, 29.0, 900 / 29, 29.97),
        (900, 1.0, 900 / 1.9, None),
        (900, 1.0, 900.0, None),
    ],
)
def test_an_honest_duration_passes(nframes, fps, duration_s, rate) -> None:
    assert list(check_duration(RecordingFacts(nframes, fps, duration_s, rate=rate))) == []


@pytest.mark.parametrize("by", [29.0, 29.97])
def test_frames_times_fps_is_found_by_either_rate(by) -> None:
    (found,) = check_duration(RecordingFacts(900, 29.0, 900 * by, rate=29.97))
    assert (found.certainty, found.repair) == (Certainty.CERTAIN, Repair.DURATION)
    assert "take 30.03 s" in found.sentence


def test_which_duration_is_right_is_not_known_where_views_may_be_counted() -> None:
    (found,) = check_duration(replace(TWO_VIEWS, duration_s=2 * N * 30.0))
    assert (found.certainty, found.repair) == (Certainty.CERTAIN, Repair.NONE)
    (found,) = check_duration(replace(RECORDING, duration_s=2 * N / 30))
    assert found.certainty is Certainty.POSSIBLE
