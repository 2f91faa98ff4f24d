from __future__ import annotations

from dataclasses import replace

import pytest

from fmdj_cloud.audit.facts import PoseFacts, PoseTruth, RecordingFacts
from fmdj_cloud.audit.findings import Certainty, Repair
from fmdj_cloud.audit.pose_checks import check_pose
from fmdj_cloud.audit.repair import mendable
from fmdj_cloud.audit.svd_checks import check_svd
from tests.unit.audit.test_audit_svd import FAULTS, sound, truth

SOUND = PoseFacts(
    recording=RecordingFacts(nframes=600, fps=30.0, duration_s=20.0),
    total_frames=600,
    duration_s=150.0,
    parts={"nose(tip)": (600, 600, 600), "mouth": (600, 600, 600)},
)
TRUTH = PoseTruth(nframes=600, seconds=150.0)


@pytest.mark.parametrize("truth_", [TRUTH, PoseTruth(600), None])
def test_sound_rows_pass_a_pose_audit(truth_) -> None:
    assert check_pose(SOUND, truth_) == []
    assert check_pose(replace(SOUND, recording=RecordingFacts()), truth_) == []


@pytest.mark.parametrize(
    ("changes", "check", "sure", "alone"),
    [
        ({"duration_s": 600 * 4.0}, "duration", Certainty.CERTAIN, None),  # frames x frames per second
        ({"duration_s": 600 * 30.0}, "duration", None, Certainty.LIKELY),
        ({"duration_s": 600 * 40.0}, "duration", None, Certainty.POSSIBLE),
        ({"parts": {"a": (600,), "b": (300,)}}, "length", Certainty.CERTAIN, Certainty.CERTAIN),
        ({"total_frames": 599}, "length", Certainty.CERTAIN, Certainty.CERTAIN),
        ({"differing": ("mouth",)}, "values", Certainty.LIKELY, None),
        ({"differing": ("mouth",), "swapped": ("mouth",)}, "axis", Certainty.CERTAIN, None),
    ],
)
def test_faults_of_inference_are_found(changes, check, sure, alone) -> None:
    facts = replace(SOUND, **changes)
    if sure is not None:
        (found,) = check_pose(facts, TRUTH)
        assert (found.check, found.certainty, found.repair) == (check, sure, Repair.RELOAD)
    if alone is not None:
        (found,) = check_pose(facts, None)
        assert (found.check, found.certainty, found.repair) == (check, alone, Repair.NONE)


def test_only_the_first_of_several_files_is_told() -> None:
    facts = replace(
        SOUND,
        recording=replace(SOUND.recording, files=2),
        total_frames=300,
        duration_s=75.0,
        parts={"mouth": (300, 300, 300)},
    )
    (found,) = check_pose(facts, TRUTH)
    assert (found.check, found.certainty) == ("frames", Certainty.CERTAIN)
    (found,) = check_pose(facts, None)
    assert (found.check, found.certainty) == ("frames", Certainty.LIKELY)


def test_old_numbers_are_changed_only_where_that_is_asked_for() -> None:
    findings = check_svd(FAULTS["other numbers"][0](FAULTS["duration of frames x fps"][0](sound())), truth())
    chosen, why = mendable(findings, renumber=False)
    assert [one.check for one in chosen] == ["duration"]
    assert "--renumber" in why
    assert {one.check for one in mendable(findings, renumber=True)[0]} == {"duration", "numbering"}
