"""Quality control of keypoints before loading."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from fmdj_cloud.contracts import Verdict, ViewFrames
from fmdj_cloud.errors import LoadError
from fmdj_cloud.load import pose_check
from fmdj_cloud.load.check import check_keypoints, require
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.settings import LoadSettings
from fmdj_cloud.signals_h5 import SignalsReader
from tests.support.pose import signals

PARTS = BODY_PARTS


@pytest.fixture
def checked(tmp_path):
    """Check a file written as the keywords say; returns the checks that didn't pass."""

    def check(*, declared=PARTS, view=0, accept=(), says=None, **file):
        with SignalsReader(signals.write(tmp_path / "signals.h5", **file)) as reader:
            checks = check_keypoints(reader, says or signals.manifest(), view, declared, LoadSettings(), accept)
        return [check for check in checks if check.verdict is not Verdict.PASS]

    return check


def spoil(part, frames, values, view=0):
    """Put values into some frames of a body part of one view."""

    def change(its_view, name, points):
        if (its_view, name) == (view, part):
            points[frames] = values

    return change


def test_a_good_file_passes_every_check(tmp_path):
    with SignalsReader(signals.write(tmp_path / "signals.h5")) as reader:
        checks = check_keypoints(reader, signals.manifest(), 1, PARTS, LoadSettings())
    assert {check.verdict for check in checks} == {Verdict.PASS}
    assert {check.check for check in checks} == {
        *("pose_view", "body_parts", "frames"),
        *("nan", "likelihood", "empty_frames", "low_likelihood", "likelihoods", "flat"),
    }
    require(checks)


def test_body_parts_that_differ_are_refused_with_both_differences(checked):
    found = checked(parts=(*PARTS[1:], "tail"), views=(0,))
    assert [(check.check, check.verdict) for check in found] == [("body_parts", Verdict.FAIL)]
    assert f"view 0: {PARTS[0]} missing, tail unknown to the model" in found[0].sentence
    with pytest.raises(LoadError, match="other body parts"):
        require(checked(parts=PARTS[1:], accept=("body_parts",)))


def test_the_order_of_declared_body_parts_does_not_matter(checked):
    assert not checked(declared=PARTS[::-1])


def test_a_view_without_keypoints_is_refused(checked):
    (found,) = checked(view=2)
    assert found.check == "pose_view"
    assert "keypoints of the views 0, 1, and view 2 is asked for" in found.sentence


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ({"nframes": 59}, {}),
        ({"nframes": 59}, {"nframes": 59}),
        ({}, {"views": (ViewFrames(height=32, width=48, fps=30, frames=(59,), header_frames=(60,)),)}),
    ],
)
def test_frames_of_file_manifest_and_videos_must_agree(checked, file, says):
    assert "frames" in {check.check for check in checked(says=signals.manifest(**says), **file)}


def test_a_body_part_with_fewer_frames_is_refused(tmp_path):
    path = signals.write(tmp_path / "signals.h5")
    with h5py.File(path, "r+") as file:
        del file["pose/1/paw/y"]
        file["pose/1/paw/y"] = np.zeros(59, np.float32)
    with SignalsReader(path) as reader, pytest.raises(LoadError, match=r"paw of view 1 has .*\(60,\), \(59,\), \(60,"):
        require(check_keypoints(reader, signals.manifest(), 0, PARTS, LoadSettings()))


def test_a_missing_coordinate_is_refused(tmp_path):
    path = signals.write(tmp_path / "signals.h5")
    with h5py.File(path, "r+") as file:
        del file["pose/0/paw/likelihood"]
    with SignalsReader(path) as reader, pytest.raises(LoadError, match="paw of view 0"):
        require(check_keypoints(reader, signals.manifest(), 0, PARTS, LoadSettings()))


def test_frames_without_points_are_told_and_loaded(checked):
    frames = [3, 4, 7]

    def change(view, part, points):
        if view == 1:
            points[frames] = np.nan, np.nan, 0

    (found,) = checked(change=change)
    assert (found.check, found.verdict) == ("empty_frames", Verdict.WARN)
    assert found.sentence.startswith("3 of 60 frames of view 1 (5.0%) hold no points")


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ((np.nan, np.nan, 0.5), "nan"),
        ((np.nan, 3, 0), "nan"),
        ((np.inf, 3, 0), "nan"),
        ((2, 3, 1.01), "likelihood"),
        ((2, 3, -0.01), "likelihood"),
        ((2, 3, np.nan), "likelihood"),
    ],
)
def test_what_is_no_point_is_refused_unless_accepted(checked, values, name):
    (found,) = checked(change=spoil("paw", [5], values))
    assert (found.check, found.verdict) == (name, Verdict.FAIL)
    assert "paw of view 0 has 1 frames" in found.sentence
    (found,) = checked(change=spoil("paw", [5], values), accept=(name,))
    assert found.verdict is Verdict.WARN


def test_numbers_are_looked_at_in_slices(checked, monkeypatch):
    monkeypatch.setattr(pose_check, "_SLICE_FRAMES", 7)
    (found,) = checked(change=spoil("mouth", [6, 7, 59], (1, 1, 2)))
    assert "mouth of view 0 has 3 frames" in found.sentence


def test_what_is_refused_names_the_check_to_accept(checked):
    with pytest.raises(LoadError, match="accept the check `likelihood`") as caught:
        require(checked(change=spoil("paw", [5], (2, 3, 1.01))))
    assert caught.value.check == "likelihood"
