"""Quality control before loading."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from fmdj_cloud.contracts import Verdict, ViewFrames
from fmdj_cloud.errors import LoadError
from fmdj_cloud.load.check import check_signals, require
from fmdj_cloud.load.structure import expected_regions
from fmdj_cloud.settings import LoadSettings
from fmdj_cloud.signals_h5 import SignalsReader

_ENDED = np.r_[np.linspace(1, 9, 29), np.zeros(31)]
"""Stands still for more than half of the recording, which ``flat`` flags."""


def _names(checks) -> set[tuple[str, int | None, str]]:
    return {(check.check, check.roi_no, check.verdict.value) for check in checks}


def test_a_good_file_passes_every_check(signals, make) -> None:
    checks = check_signals(signals, make.manifest(), make.params(), LoadSettings())

    assert {check.verdict for check in checks} == {Verdict.PASS}
    assert {check.check for check in checks} == {
        *("regions", "summary", "frames", "components"),
        *("nan", "tail", "flat", "norm", "alignment", "clipping"),
        *("lost_pupil", "pupil_clipping", "saturation", "darkness"),
    }
    require(checks)


def test_full_frame_and_rois_are_numbered_as_the_element_does(make) -> None:
    with_full = expected_regions(make.params())
    without = expected_regions(make.params(full_svd=False))
    nothing_computed = expected_regions(make.params(mot_svd=False, mov_svd=False))

    assert [kind for kind, _, _ in with_full.values()] == ["full frame", "motion SVD", "pupil", "blink", "running"]
    assert list(with_full) == [0, 1, 2, 3, 4]
    assert [kind for kind, _, _ in without.values()] == ["motion SVD", "pupil", "blink", "running"]
    assert list(without) == [0, 1, 2, 3]
    assert nothing_computed[0] == ("motion SVD", 0, frozenset())


def test_motion_comes_with_either_svd(make) -> None:
    assert expected_regions(make.params(mot_svd=False))[0][2] == {"motion", "mov"}
    assert expected_regions(make.params(mov_svd=False))[0][2] == {"motion", "mot"}


@pytest.mark.parametrize(
    ("file", "failed"),
    [
        ({"skip": (3,)}, {("regions", None, "fail")}),
        ({"names": {1: "a name of 17 char"}}, {("regions", 1, "fail")}),
        ({"summary": False}, {("summary", None, "fail")}),
        ({"nframes": 59}, {("frames", None, "fail")}),
        ({"motion": {1: np.r_[np.full(59, 2.0), np.nan]}}, {("nan", 1, "fail"), ("flat", 1, "fail")}),
        ({"motion": {1: np.zeros(60)}}, {("flat", 1, "fail")}),
        ({"blink": np.full(60, 3.0)}, {("flat", 3, "warn")}),
        ({"blink": np.r_[np.inf, np.arange(59.0)]}, {("nan", 3, "fail")}),
        ({"pupil": {"area": np.full(60, 7.0)}}, {("flat", 2, "fail")}),
        ({"pupil": {"com": np.full((60, 2), np.nan)}}, {("nan", 2, "fail")}),
    ],
)
def test_what_is_wrong_is_named_with_its_region(checked, file, failed) -> None:
    assert _names(checked(**file)) == failed


def test_a_closed_eye_may_leave_gaps_in_pupil_traces(checked) -> None:
    area = np.r_[np.full(5, np.nan), np.linspace(50, 60, 55)]

    assert not checked(pupil={"area": area})


def test_a_region_that_nobody_asked_for_fails(checked, make) -> None:
    (check,) = checked(asked=make.params(rois=make.params().rois[:3]))

    assert check.check == "regions"
    assert "0, 1, 2, 3, 4, but 0, 1, 2, 3 were asked for" in check.sentence


def test_movie_svd_that_nobody_asked_for_fails(checked, make) -> None:
    checks = checked(asked=make.params(mov_svd=False))

    assert _names(checks) == {("regions", 0, "fail"), ("regions", 1, "fail")}
    assert "full frame with mot, motion, mov, but full frame with mot, motion was asked for" in checks[0].sentence


def test_all_motion_of_a_view_ending_in_zeros_means_that_the_video_turned_black(checked) -> None:
    checks = checked(motion={0: _ENDED, 1: _ENDED * 2})

    flagged = {("flat", 0, "warn"), ("flat", 1, "warn")}
    assert _names(checks) == {("tail", 0, "fail"), ("tail", 1, "fail")} | flagged
    assert "ends with 31 zeros (at most 30)" in checks[0].sentence


def test_one_still_region_beside_a_moving_one_is_a_warning(checked) -> None:
    assert _names(checked(motion={1: _ENDED})) == {("tail", 1, "warn"), ("flat", 1, "warn")}


def test_the_other_view_is_no_witness_for_a_black_one(tmp_path: Path, make) -> None:
    view = make.manifest().views[0]
    with SignalsReader(make.write(tmp_path / "signals.h5", motion={1: _ENDED})) as reader:
        checks = check_signals(reader, make.manifest(views=(view, view)), make.params(), LoadSettings())

    assert ("tail", 1, "fail") in _names(checks)


def test_frames_are_those_that_all_views_have_in_every_file(checked, make) -> None:
    def view(*frames: int) -> ViewFrames:
        return ViewFrames(height=32, width=48, fps=30.0, frames=frames, header_frames=frames)

    assert not checked(says=make.manifest(views=(view(41, 20), view(40, 22))))
    assert _names(checked(says=make.manifest(views=(view(41, 20), view(41, 20))))) == {("frames", None, "fail")}
    assert _names(checked(says=make.manifest(views=(view(60), view(40, 20))))) == {("frames", None, "fail")}


def test_components_that_disagree_in_number_fail(tmp_path: Path, make) -> None:
    path = make.write(tmp_path / "signals.h5")
    with h5py.File(path, "r+") as file:
        del file["regions/1/mot/singular_values"]
        file["regions/1/mot/singular_values"] = np.ones(3, np.float32)
    with SignalsReader(path) as reader:
        checks = check_signals(reader, make.manifest(), make.params(), LoadSettings())

    (failed,) = [check for check in checks if check.verdict is Verdict.FAIL]
    assert (failed.check, failed.roi_no) == ("components", 1)
    assert "7 projections, masks (4, 6, 7), singular values (3,)" in failed.sentence


def test_a_region_has_no_more_components_than_pixels(checked, make) -> None:
    rng = np.random.default_rng(1)

    checks = checked(masks=make.unit_masks(rng, 2, 3, 7))

    assert _names(checks) == {("components", 0, "fail"), ("components", 1, "fail")}
    assert "2 x 3 pixels and 60 frames come 1 to 6" in checks[0].sentence


def test_a_still_region_has_no_components_and_is_flat(checked, make) -> None:
    nothing = np.zeros((4, 6, 0))
    still = {0: np.zeros(60), 1: np.zeros(60)}

    assert _names(checked(masks=nothing, motion=still)) == {("flat", 0, "fail"), ("flat", 1, "fail")}
    assert {check.check for check in checked(masks=nothing)} == {"components"}


def test_scaled_masks_are_a_warning(checked, make) -> None:
    rng = np.random.default_rng(1)

    checks = checked(masks=make.unit_masks(rng, 4, 6, 7) * 30)

    assert {(check.check, check.verdict.value) for check in checks} == {("norm", "warn")}


def test_an_accepted_check_is_a_warning_and_structure_cannot_be_accepted(checked) -> None:
    flat = {1: np.zeros(60)}

    assert _names(checked(motion=flat, accept=("flat", "frames"))) == {("flat", 1, "warn")}
    assert _names(checked(nframes=59, accept=("flat", "frames"))) == {("frames", None, "fail")}


def test_the_sentence_names_region_value_and_remedy(checked) -> None:
    with pytest.raises(LoadError) as caught:
        require(checked(motion={0: _ENDED, 1: _ENDED}))

    assert caught.value.check == "tail"
    assert caught.value.sentence == (
        "The motion of region 0 (FullSVD) ends with 31 zeros (at most 30): the video turned black or stood still before"
        " its end; look at its last frames. If the recording is meant to be so, accept the check `tail`. Failed checks"
        " beside this one: 1."
    )


def test_a_file_of_another_layout_is_a_load_error(tmp_path: Path, make) -> None:
    path = make.write(tmp_path / "signals.h5")
    with h5py.File(path, "r+") as file:
        del file["regions/1"].attrs["kind"]

    with pytest.raises(LoadError, match="isn't laid out as documented"):
        SignalsReader(path)
