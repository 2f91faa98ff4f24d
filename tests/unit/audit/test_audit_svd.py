"""Every known fault in rows is found, and named; sound rows pass: against a file, and against themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmdj_cloud.audit.facts import RecordingFacts, RegionRow, SvdFacts, SvdTable, SvdTruth, WantedRegion
from fmdj_cloud.audit.findings import Certainty, Repair
from fmdj_cloud.audit.svd_checks import check_svd
from tests.support.audit import moving

RECORDING = RecordingFacts(nframes=moving.NFRAMES, fps=30.0, duration_s=moving.NFRAMES / 30)
CERTAIN, LIKELY, POSSIBLE = Certainty.CERTAIN, Certainty.LIKELY, Certainty.POSSIBLE


def table(basis: str, number: int, of: str | None = None, region: int | None = None) -> SvdTable:
    """The facts of sound rows, or of rows that hold another basis or region's."""
    masks, courses = getattr(moving.regions()[number if region is None else region], of or basis)
    return SvdTable(
        count=moving.COMPONENTS,
        projections=frozenset({(moving.NFRAMES,)}),
        masks=frozenset({masks.shape[:2]}),
        energy=np.linalg.norm(courses, axis=1),
        copied=bool(np.all(courses[0] == courses[1])),
        alike=frozenset({(of or basis, number if region is None else region)}),
        differing=() if of is None and region is None else tuple(range(moving.COMPONENTS)),
    )


def sound() -> SvdFacts:
    regions = tuple(
        RegionRow(number, moving.BOXES.get(number, (0, 32, 0, 48)), moving.BINNED[number], found.motion)
        for number, found in moving.rows()
    )
    svd = {(basis, number): table(basis, number) for number in moving.BINNED for basis in ("mot", "mov")}
    return SvdFacts(RECORDING, regions, svd, {moving.RUNNING: moving.running()}, summary=moving.BINNED[0])


def truth() -> SvdTruth:
    return SvdTruth(
        regions=tuple(
            WantedRegion(
                number,
                "full frame" if number == 0 else "motion SVD",
                moving.BOXES.get(number, (0, 32, 0, 48)),
                found.motion,
            )
            for number, found in moving.rows()
        ),
        nframes=moving.NFRAMES,
        components={(basis, number): moving.COMPONENTS for number in moving.BINNED for basis in ("mot", "mov")},
    )


def asked() -> SvdTruth:
    """What only the task tells."""
    return SvdTruth(tuple(replace(one, motion=None, box=one.box if one.number else None) for one in truth().regions))


def with_region(facts: SvdFacts, number: int, **changes) -> SvdFacts:
    regions = tuple(replace(row, **changes) if row.number == number else row for row in facts.regions)
    return replace(facts, regions=regions)


def with_table(facts: SvdFacts, basis: str, number: int, new: SvdTable) -> SvdFacts:
    return replace(facts, svd={**facts.svd, (basis, number): new})


def swapped_motions(facts: SvdFacts) -> SvdFacts:
    """``motions.pop()`` takes from the end."""
    one, two = moving.regions()[1].motion, moving.regions()[2].motion
    return with_region(with_region(facts, 1, motion=two), 2, motion=one)


def by_frames(facts: SvdFacts) -> SvdFacts:
    """A row for every frame, sliced along the wrong axis."""
    wrong = SvdTable(
        count=moving.NFRAMES,
        projections=frozenset({(moving.COMPONENTS,)}),
        masks=frozenset({(6, moving.COMPONENTS)}),
        energy=np.ones(moving.COMPONENTS),
        copied=False,
    )
    return with_table(facts, "mot", 1, wrong)


def renumbered(facts: SvdFacts) -> SvdFacts:
    """A ROI by the number of another convention."""
    regions = tuple(replace(row, number=4) if row.number == 1 else row for row in facts.regions)
    svd = {(basis, 4 if number == 1 else number): table for (basis, number), table in facts.svd.items()}
    return replace(facts, regions=regions, svd=svd)


FAULTS = {
    "rows by frame": (by_frames, "axis", "MotionSVD", 1, CERTAIN, CERTAIN),
    "projections too short": (
        lambda facts: with_table(facts, "mot", 1, replace(table("mot", 1), projections=frozenset({(600,)}))),
        *("length", "MotionSVD", 1, CERTAIN, CERTAIN),
    ),
    "masks transposed": (
        lambda facts: with_table(facts, "mot", 2, replace(table("mot", 2), masks=frozenset({(7, 4)}))),
        *("axis", "MotionSVD", 2, CERTAIN, CERTAIN),
    ),
    "ranges changed over": (
        lambda facts: with_region(facts, 2, box=(20, 48, 16, 32)),
        *("axis", "Region", 2, CERTAIN, CERTAIN),
    ),
    "motions popped from the end": (swapped_motions, "motion_roi", "Region", 1, CERTAIN, LIKELY),
    "motion of the full frame": (
        lambda facts: with_region(facts, 1, motion=moving.early(moving.regions()[2].motion)),
        *("motion_roi", "Region", 1, CERTAIN, LIKELY),
    ),
    "movie SVD in MotionSVD": (
        lambda facts: with_table(facts, "mot", 1, table("mot", 1, of="mov")),
        *("svd_table", "MotionSVD", 1, CERTAIN, LIKELY),
    ),
    "motion SVD in MovieSVD": (
        lambda facts: with_table(facts, "mov", 0, table("mov", 0, of="mot")),
        *("svd_table", "MovieSVD", 0, CERTAIN, LIKELY),
    ),
    "motion not aligned": (
        lambda facts: with_region(facts, 1, motion=moving.early(moving.regions()[1].motion)),
        *("alignment", "Region", 1, CERTAIN, LIKELY),
    ),
    "SVD of another region": (
        lambda facts: with_table(facts, "mot", 1, table("mot", 1, region=2)),
        *("motion_roi", "MotionSVD", 1, CERTAIN, None),
    ),
    "duration of frames x fps": (
        lambda facts: replace(facts, recording=replace(RECORDING, duration_s=np.float32(moving.NFRAMES * 30))),
        *("duration", "RecordingInfo", None, CERTAIN, CERTAIN),
    ),
    "running of a faulty Facemap": (
        lambda facts: replace(facts, running={3: moving.noise()}, running_origin="import"),
        *("running", "Running", 3, CERTAIN, CERTAIN),
    ),
    "running that looks like noise": (
        lambda facts: replace(facts, running={3: moving.noise()}),
        *("running", "Running", 3, POSSIBLE, POSSIBLE),
    ),
    "other numbers": (
        renumbered,
        *("numbering", "Region", None, CERTAIN, CERTAIN),
    ),
    "values that nobody computed": (
        lambda facts: with_region(facts, 1, motion=np.random.default_rng(0).random(moving.NFRAMES)),
        *("values", "Region", 1, LIKELY, None),
    ),
}


@pytest.mark.parametrize("against", [truth(), asked(), None], ids=["file", "task", "nothing"])
def test_sound_rows_pass(against) -> None:
    assert check_svd(sound(), against) == []
    assert check_svd(replace(sound(), recording=RecordingFacts()), against) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_against_the_file(name) -> None:
    make, check, where, number, sure, _ = FAULTS[name]
    found = check_svd(make(sound()), truth())
    assert (check, where, number, sure) in {(one.check, one.table, one.roi_no, one.certainty) for one in found}
    for one in found:
        assert one.repair is {"duration": Repair.DURATION, "numbering": Repair.RENUMBER}.get(one.check, Repair.RELOAD)
        assert one.sentence.endswith(".")
        assert one.remedy.endswith(".")


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault[-1] is not None])
def test_a_fault_is_found_in_the_rows_themselves(name) -> None:
    make, check, where, number, _, sure = FAULTS[name]
    found = check_svd(make(sound()), asked())
    assert (check, where, number, sure) in {(one.check, one.table, one.roi_no, one.certainty) for one in found}
    # nothing can be reloaded from files that are gone
    assert {one.repair for one in found} <= {Repair.NONE, Repair.DURATION}


def test_a_movie_that_begins_with_one_frame_twice_is_only_possibly_wrong() -> None:
    facts = with_table(sound(), "mov", 1, replace(table("mov", 1), copied=True))
    assert check_svd(facts, truth()) == []
    (found,) = check_svd(facts, asked())
    assert (found.check, found.certainty) == ("svd_table", POSSIBLE)


def test_missing_sequential_files_are_told() -> None:
    half = moving.NFRAMES // 2
    facts = sound()
    for number in moving.BINNED:
        facts = with_region(facts, number, motion=moving.regions()[number].motion[:half])
        for basis in ("mot", "mov"):
            short = replace(table(basis, number), projections=frozenset({(half,)}), energy=None)
            facts = with_table(facts, basis, number, short)
    facts = replace(facts, recording=replace(RECORDING, files=2))
    (first, *_) = [one for one in check_svd(facts, truth()) if one.table == "Region"]
    assert (first.check, first.certainty, first.repair) == ("frames", CERTAIN, Repair.RELOAD)
    assert "310 frames of 620: those of 1 sequential files or part of them are missing" in first.sentence
    alone = [one for one in check_svd(facts, asked()) if one.table == "Region"]
    assert {(one.check, one.certainty, one.repair) for one in alone} == {("frames", LIKELY, Repair.NONE)}


def test_a_movie_whose_motion_too_begins_with_nothing_is_sound() -> None:
    motion = moving.regions()[1].motion.copy()
    motion[:2] = 0
    facts = with_region(with_table(sound(), "mov", 1, replace(table("mov", 1), copied=True)), 1, motion=motion)
    assert check_svd(facts, asked()) == []


def test_a_motion_svd_that_follows_the_motion_is_only_possibly_the_movies() -> None:
    facts = with_table(sound(), "mot", 1, replace(table("mot", 1), copied=False))
    (found,) = check_svd(facts, asked())
    assert (found.check, found.certainty) == ("svd_table", POSSIBLE)
