"""Limits of quality control: what is flagged, what is refused, and what is kept of it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fmdj_cloud.contracts import ACCEPTABLE_CHECKS, Verdict
from fmdj_cloud.errors import LoadError
from fmdj_cloud.load.check import ACCEPTABLE, check_keypoints, check_signals, require
from fmdj_cloud.load.picture_check import of_one_view
from fmdj_cloud.load.verdict import QualityError, condensed, grade
from fmdj_cloud.settings import LoadSettings, QualitySettings, Threshold
from fmdj_cloud.signals_h5 import SignalsReader
from tests.support.pose import signals as poses


@pytest.mark.parametrize(
    ("warn", "fail", "value", "verdict", "limit"),
    [
        (1, 2, 0.5, "pass", 1),
        (1, 2, 1, "pass", 1),
        (1, 2, 1.5, "warn", 1),
        (1, 2, 3, "fail", 2),
        (None, 2, 3, "fail", 2),
        (None, 2, 1, "pass", 2),
        (1, None, 9, "warn", 1),
        (None, None, 9, "pass", None),
    ],
)
def test_more_than_a_limit_is_flagged_or_refused(warn, fail, value, verdict, limit):
    found = grade("flat", None, value, Threshold(warn=warn, fail=fail), "Above {limit}.")
    assert (found.verdict.value, found.threshold) == (verdict, limit)
    assert found.sentence == ("" if verdict == "pass" else f"Above {limit}.")


def test_what_may_not_fail_is_flagged():
    found = grade("flat", None, 3, Threshold(warn=1, fail=2), "Above {limit}.", may_fail=False)
    assert (found.verdict, found.sentence) == (Verdict.WARN, "Above 2.")


def test_limits_that_contradict_each_other_are_refused():
    with pytest.raises(ValidationError, match="warn \\(3\\) is above fail \\(2\\)"):
        QualitySettings.model_validate({"flat": {"warn": 3, "fail": 2}})


def test_every_check_with_limits_can_be_accepted():
    assert set(QualitySettings.model_fields) <= set(ACCEPTABLE_CHECKS)
    assert set(QualitySettings.model_fields) <= ACCEPTABLE


BAD = {
    "lost_pupil": {"pupil": {"area": np.r_[np.linspace(50, 60, 50), np.zeros(10)]}},
    "pupil_clipping": {"pupil": {"com": np.zeros((60, 2))}},
    "flat": {"motion": {0: np.r_[np.linspace(1, 9, 20), np.full(40, 7)]}},
    "tail": {"motion": {0: np.r_[np.linspace(1, 9, 29), np.zeros(31)], 1: np.r_[np.ones(29), np.zeros(31)]}},
}


@pytest.mark.parametrize("name", BAD)
def test_a_limit_of_the_settings_decides(name, tmp_path, make):
    with SignalsReader(make.write(tmp_path / "signals.h5", **BAD[name])) as reader:

        def verdicts(limits: LoadSettings, accept: tuple[str, ...] = ()) -> set[tuple[Verdict, bool]]:
            checks = check_signals(reader, make.manifest(), make.params(), limits, accept)
            return {(check.verdict, check.accepted) for check in checks if check.check == name} - {
                (Verdict.PASS, False)
            }

        def limits(**values: float | None) -> LoadSettings:
            return LoadSettings.model_validate({"quality": {name: values}})

        assert not verdicts(limits(warn=None, fail=None))
        assert verdicts(limits(warn=0.001, fail=None)) == {(Verdict.WARN, False)}
        assert verdicts(limits(warn=None, fail=0.001)) == {(Verdict.FAIL, False)}
        assert verdicts(limits(warn=None, fail=0.001), (name,)) == {(Verdict.WARN, True)}


def test_pictures_seams_and_frames_are_judged(tmp_path, make):
    path = make.write(tmp_path / "signals.h5", nframes=1200, seed=3)
    with h5py.File(path, "r+") as file:
        file["summary/avgframe"][:3] = 255
        file["summary/avgframe"][3:] = 0
        file["regions/0/mot/projections"][500:1000] += 1000
        file["regions/0/mot/masks"][1:-1, 1:-1] = 0
    manifest = make.manifest(nframes=1200, views=())
    limits = LoadSettings.model_validate({"quality": {"clipping": {"warn": 2}}})
    with SignalsReader(path) as reader:
        checks = check_signals(reader, manifest, make.params(), limits, recorded=1210)
    found = {check.check: check for check in checks if check.verdict is not Verdict.PASS}
    assert set(found) == {"saturation", "darkness", "seams", "clipping", "norm", "recording_frames"}
    assert (found["saturation"].value, found["saturation"].threshold) == (3 / 8, 0.05)
    assert found["seams"].part == "region 0 motSVD"
    assert "jumps at 2 of 2 borders" in found["seams"].sentence
    assert "1200 frames were computed and RecordingInfo says 1210, 10 apart (at most 2)" in (
        found["recording_frames"].sentence
    )


def test_a_motion_that_is_a_frame_early_is_flagged(tmp_path, make):
    rng = np.random.default_rng(0)
    course = rng.normal(size=(1200, 7)).astype(np.float32) * rng.gamma(1, size=(1200, 1)).astype(np.float32)
    motion = (course**2).sum(axis=1)
    early = np.array(motion)
    early[:499], early[499] = motion[1:500], 0
    names = []
    for trace in (motion, early):
        path = make.write(tmp_path / "signals.h5", nframes=1200, motion={0: trace})
        with h5py.File(path, "r+") as file:
            file["regions/0/mot/projections"][:] = course
        with SignalsReader(path) as reader:
            checks = check_signals(reader, make.manifest(nframes=1200, views=()), make.params(), LoadSettings())
        names.append([(check.check, check.part) for check in checks if check.verdict is not Verdict.PASS])
    assert names == [[], [("alignment", "region 0 motion")]]


def test_a_file_that_begins_at_a_border_may_look_different(tmp_path, make):
    path = make.write(tmp_path / "signals.h5", nframes=1200, seed=3)
    with h5py.File(path, "r+") as file:
        file["regions/0/mot/projections"][500:] += 1000
    view = make.manifest().views[0].model_copy(update={"frames": (500, 700)})
    with SignalsReader(path) as reader:
        checks = check_signals(reader, make.manifest(nframes=1200, views=(view,)), make.params(), LoadSettings())
    assert {check.verdict for check in checks} == {Verdict.PASS}


def test_a_body_part_that_is_hardly_recognised_is_flagged_with_its_median(tmp_path):
    def change(view, part, points):
        if (view, part) == (0, "paw"):
            points[:40, 2] = 0.15

    with SignalsReader(poses.write(tmp_path / "signals.h5", change=change)) as reader:
        checks = check_keypoints(reader, poses.manifest(), 0, poses.BODY_PARTS, LoadSettings())
    (found,) = [check for check in checks if check.verdict is not Verdict.PASS]
    assert (found.check, found.part, found.verdict) == ("low_likelihood", "view 0 paw", Verdict.WARN)
    assert "below 0.3 in" in found.sentence
    assert "half of them reach 0.15" in found.sentence


def test_a_view_that_repeats_its_first_frame_is_refused_and_one_still_part_is_flagged(tmp_path):
    def still(view, part, points):
        if view == 1:
            points[:, :2] = points[0, :2]

    def resting(view, part, points):
        if (view, part) == (1, "paw"):
            points[:, :2] = points[0, :2]

    for change, verdict, number in ((still, Verdict.FAIL, len(poses.BODY_PARTS)), (resting, Verdict.WARN, 1)):
        with SignalsReader(poses.write(tmp_path / "signals.h5", change=change)) as reader:
            checks = check_keypoints(reader, poses.manifest(), 0, poses.BODY_PARTS, LoadSettings())
        found = [check for check in checks if check.verdict is not Verdict.PASS]
        assert [(check.check, check.verdict) for check in found] == [("flat", verdict)] * number


def test_what_is_refused_carries_all_that_was_found(checked):
    with pytest.raises(QualityError) as caught:
        require(checked(motion={1: np.zeros(60)}))
    assert caught.value.check == "flat"
    assert [finding.part for finding in caught.value.findings] == ["region 1 motion"]


def test_checks_of_every_dataset_are_kept_once_where_they_pass(signals, make):
    checks = check_signals(signals, make.manifest(), make.params(), LoadSettings())
    kept = condensed(checks)
    names = [finding.check for finding in kept]
    assert set(names) == {check.check for check in checks}
    for once in ("regions", "frames", "components", "nan", "norm"):
        assert names.count(once) == 1
    assert next(finding for finding in kept if finding.check == "norm").value == max(
        check.value for check in checks if check.check == "norm"
    )
    assert names.count("flat") > 1
    assert len(kept) < 30


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), nframes=st.sampled_from([1, 2, 3, 60, 600]))
def test_no_file_that_can_be_read_makes_a_check_raise(tmp_path: Path, make, data, nframes):
    bad = st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e38, -1.0])

    def spoilt(shape: tuple[int, ...]) -> np.ndarray:
        values = np.random.default_rng(data.draw(st.integers(0, 9))).normal(size=shape)
        values[data.draw(st.sampled_from([slice(0), slice(0, 1), slice(None)]))] = data.draw(bad)
        return values

    components = data.draw(st.sampled_from([0, 1, 7]))
    path = make.write(
        tmp_path / "signals.h5",
        nframes=nframes,
        motion={0: spoilt((nframes,)), 1: spoilt((nframes,))},
        pupil={"area": spoilt((nframes,)), "com": spoilt((nframes, 2))},
        blink=spoilt((nframes,)),
        masks=spoilt((4, 6, components)),
    )
    with SignalsReader(path) as reader:
        manifest = make.manifest(nframes=nframes, views=())
        checks = check_signals(reader, manifest, make.params(), LoadSettings(slice_mib=1), recorded=0)
    assert all(check.value is None or np.isfinite(check.value) for check in checks)

    def change(view, part, points):
        points[data.draw(st.sampled_from([slice(0), slice(None)]))] = data.draw(bad)

    path = poses.write(tmp_path / "pose.h5", parts=poses.BODY_PARTS[:2], nframes=nframes, change=change)
    with SignalsReader(path) as reader:
        manifest = poses.manifest(nframes=nframes, views=())
        check_keypoints(reader, manifest, 0, poses.BODY_PARTS[:2], LoadSettings())


def test_a_structure_that_is_wrong_ends_the_look_at_numbers(tmp_path, make):
    with SignalsReader(make.write(tmp_path / "signals.h5", nframes=59)) as reader:
        checks = check_signals(reader, make.manifest(), make.params(), LoadSettings())
    assert "flat" not in {check.check for check in checks}
    with pytest.raises(LoadError, match="59 frames"):
        require(checks)


@pytest.mark.parametrize(
    ("recorded", "views", "expected"),
    [(1200, 1, 1200), (1200, 2, 1200), (2400, 2, 1200), (2410, 2, 1205), (1210, 2, 1210), (2400, 1, 2400)],
)
def test_a_count_that_adds_up_views_is_known(recorded: int, views: int, expected: int) -> None:
    assert of_one_view(recorded, 1200, views) == expected
