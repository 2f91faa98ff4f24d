"""What rows lack is told, as sure as who wrote them allows; what a reload would lose is told first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fmdj_cloud.audit.facts import OurRow, RegionRow, SvdFacts, SvdTruth
from fmdj_cloud.audit.findings import Certainty, Repair
from fmdj_cloud.audit.losses import lost_pose, lost_svd
from fmdj_cloud.audit.pose_checks import check_pose
from fmdj_cloud.audit.svd_checks import check_svd
from tests.support.audit import moving
from tests.unit.audit.test_audit_pose import SOUND, TRUTH
from tests.unit.audit.test_audit_svd import asked, by_frames, renumbered, sound, table, truth, with_region, with_table

CERTAIN, LIKELY, POSSIBLE = Certainty.CERTAIN, Certainty.LIKELY, Certainty.POSSIBLE
SVDS = frozenset((basis, number) for basis in ("mot", "mov") for number in moving.BINNED)
PUPIL, RUNNING = ("Pupil", 4), ("Running", moving.RUNNING)


def whole() -> SvdFacts:
    return replace(sound(), signals=frozenset({PUPIL, RUNNING}))


def of_file(sure: Certainty = CERTAIN) -> SvdTruth:
    return replace(truth(), svds=SVDS, signals=frozenset({PUPIL, RUNNING}), lacking=sure)


def of_task() -> SvdTruth:
    return replace(asked(), svds=SVDS, lacking=LIKELY)


def without_region(facts: SvdFacts, number: int) -> SvdFacts:
    regions = tuple(row for row in facts.regions if row.number != number)
    svd = {place: table for place, table in facts.svd.items() if place[1] != number}
    return replace(facts, regions=regions, svd=svd)


def without_svd(facts: SvdFacts, basis: str) -> SvdFacts:
    return replace(facts, svd={place: table for place, table in facts.svd.items() if place[0] != basis})


MISSING = {
    "a region": (lambda facts: without_region(facts, 1), "Region", CERTAIN, LIKELY, LIKELY),
    "all regions": (lambda facts: replace(facts, regions=(), svd={}), "Region", CERTAIN, CERTAIN, CERTAIN),
    "a motion SVD": (lambda facts: without_svd(facts, "mot"), "MotionSVD", CERTAIN, LIKELY, LIKELY),
    "a movie SVD": (lambda facts: without_svd(facts, "mov"), "MovieSVD", CERTAIN, LIKELY, POSSIBLE),
    "a component": (
        lambda facts: with_table(facts, "mot", 1, replace(table("mot", 1), count=7, absent=(3,))),
        *("MotionSVD", CERTAIN, CERTAIN, CERTAIN),
    ),
    "the last components": (
        lambda facts: with_table(facts, "mot", 1, replace(table("mot", 1), count=7)),
        *("MotionSVD", POSSIBLE, POSSIBLE, None),
    ),
    "the mean frame": (lambda facts: replace(facts, summary=None), "Summary", CERTAIN, LIKELY, None),
    "a pupil": (lambda facts: replace(facts, signals=frozenset({RUNNING})), "Pupil", CERTAIN, None, None),
}
"""What is done, the table, how sure against our own run's file, a file that was there, and what the task asks for."""


@pytest.mark.parametrize("against", [of_file(), of_file(LIKELY), of_task(), None])
def test_nothing_is_missing_from_sound_rows(against) -> None:
    assert check_svd(whole(), against) == []
    assert against is None or not against.of_file or not list(lost_svd(whole(), against))


@pytest.mark.parametrize("name", MISSING)
@pytest.mark.parametrize("source", range(3), ids=["run", "file", "task"])
def test_what_is_missing_is_told(name, source) -> None:
    spoil, where, *sure = MISSING[name]
    found = check_svd(spoil(whole()), (of_file(), of_file(LIKELY), of_task())[source])
    wanted = [] if sure[source] is None else [("missing", where, sure[source])]
    assert [(one.check, one.table, one.certainty) for one in found] == wanted
    for one in found:
        mendable = source < 2 and one.certainty is not POSSIBLE
        assert one.repair is (Repair.RELOAD if mendable else Repair.NONE)


def test_what_a_task_asks_for_says_nothing_of_outputs_that_were_there() -> None:
    assert check_svd(without_region(whole(), 1), replace(of_task(), lacking=None)) == []


def test_what_the_file_does_not_have_may_be_meant_so() -> None:
    gone = replace(table("mov", 1), alike=frozenset(), differing=())
    file = replace(truth(), components={place: 8 for place in SVDS if place != ("mov", 1)})
    (found,) = check_svd(with_table(whole(), "mov", 1, gone), file)
    assert (found.check, found.certainty) == ("values", POSSIBLE)


@pytest.mark.parametrize(
    ("trace", "check", "sure"),
    [(moving.noise(), "running", CERTAIN), (moving.running() + 5, "values", LIKELY), (moving.running(), "", None)],
)
def test_running_is_compared_with_the_files(trace, check, sure) -> None:
    file = replace(of_file(), running={moving.RUNNING: moving.running()})
    found = check_svd(replace(whole(), running={moving.RUNNING: trace}, running_origin="repaired"), file)
    assert [(one.check, one.certainty) for one in found] == ([(check, sure)] if check else [])


@pytest.mark.parametrize(
    ("row", "against", "wanted"),
    [
        (OurRow(frozenset({moving.NFRAMES})), of_file(), []),
        (OurRow(frozenset({moving.NFRAMES}), ("area", "com")), of_file(), [("values", LIKELY, *PUPIL)]),
        (OurRow(frozenset({600, moving.NFRAMES}), ("area",)), of_file(), [("length", CERTAIN, *PUPIL)]),
        (OurRow(frozenset({moving.NFRAMES})), None, []),
        (OurRow(frozenset({600})), None, [("length", CERTAIN, *PUPIL)]),
        (OurRow(frozenset({600})), of_task(), [("length", CERTAIN, *PUPIL)]),
    ],
)
def test_pupils_and_blinks_are_compared_with_the_files_and_with_motion(row, against, wanted) -> None:
    found = check_svd(replace(whole(), ours={PUPIL: row}), against)
    assert [(one.check, one.certainty, one.table, one.roi_no) for one in found] == wanted


def test_a_pupil_alone_is_not_measured_by_what_headers_count() -> None:
    eye = RegionRow(4, (0, 8, 0, 8), None, None)
    row = OurRow(frozenset({moving.NFRAMES - 1}))
    assert check_svd(replace(whole(), regions=(eye,), svd={}, running={}, ours={PUPIL: row}), None) == []


def test_running_of_another_length_is_told_once() -> None:
    place = moving.RUNNING
    cut = {"running": {place: moving.noise()[:-3]}, "ours": {RUNNING: OurRow(frozenset({moving.NFRAMES - 3}))}}
    file = replace(of_file(), running={place: moving.running()})
    (found,) = check_svd(replace(whole(), **cut, running_origin="import"), file)
    assert (found.check, found.certainty, found.table) == ("length", CERTAIN, "Running")


def test_a_region_that_does_not_move_has_no_svd() -> None:
    still = with_region(whole(), 1, motion=moving.regions()[1].motion * 0)
    assert check_svd(replace(still, svd={place: t for place, t in still.svd.items() if place[1] != 1}), of_task()) == []


def test_components_that_the_settings_leave_out_are_not_missing() -> None:
    facts = whole()
    for place in facts.svd:
        facts = with_table(facts, *place, replace(table(*place), count=5))
    assert check_svd(facts, replace(of_file(), most=5)) == []
    assert {one.certainty for one in check_svd(facts, replace(of_file(), most=6))} == {POSSIBLE}


def test_what_a_file_lacks_would_be_lost() -> None:
    file = of_file()
    smaller = replace(
        file,
        regions=tuple(one for one in file.regions if one.number != 2),
        components={place: 3 if place == ("mot", 0) else 8 for place in SVDS if place[1] != 2 and place != ("mov", 1)},
        signals=frozenset({RUNNING}),
    )
    gone = replace(table("mov", 1), alike=frozenset())
    assert list(lost_svd(with_table(whole(), "mov", 1, gone), smaller)) == [
        *("region 2", "components of the MotionSVD of region 0", "the MovieSVD of region 1", "the Pupil of region 4")
    ]
    assert list(lost_svd(whole(), replace(file, nframes=moving.NFRAMES - 20))) == ["20 frames"]


def test_rows_at_a_wrong_place_and_placeholders_are_no_loss() -> None:
    file = of_file()
    assert list(lost_svd(renumbered(whole()), file)) == []
    assert list(lost_svd(by_frames(whole()), file)) == []
    movie_only = replace(file, components={place: count for place, count in file.components.items() if "mov" in place})
    in_motion = replace(without_svd(whole(), "mov"), svd={("mot", 1): table("mot", 1, of="mov")})
    assert list(lost_svd(in_motion, movie_only)) == []
    no_full = replace(file, regions=file.regions[1:])
    empty = without_region(whole(), 0)
    empty = replace(empty, regions=(replace(sound().regions[0], motion=None), *empty.regions))
    assert list(lost_svd(empty, no_full)) == []


def test_missing_body_parts_are_told() -> None:
    file = replace(TRUTH, parts=("nose(tip)", "mouth"))
    declared = replace(SOUND, declared=("nose(tip)", "mouth"))
    assert check_pose(declared, file) == check_pose(declared, None) == []
    less = replace(declared, parts={"mouth": (600, 600, 600)})
    for against, sure, repair in ((file, CERTAIN, Repair.RELOAD), (None, LIKELY, Repair.NONE)):
        (found,) = check_pose(less, against)
        assert (found.check, found.certainty, found.repair) == ("missing", sure, repair)
        assert "no row of nose(tip)" in found.sentence
    (found,) = check_pose(replace(declared, parts={}), None)
    assert (found.check, found.certainty) == ("missing", CERTAIN)
    # a model that declares fewer: element-facemap's tables hold no others
    assert check_pose(replace(less, declared=("mouth",)), file) == []


def test_body_parts_that_a_file_lacks_would_be_lost() -> None:
    assert list(lost_pose(SOUND, replace(TRUTH, parts=("mouth",)))) == ["the points of nose(tip)"]
    assert list(lost_pose(SOUND, replace(TRUTH, nframes=300, parts=tuple(SOUND.parts)))) == ["300 frames"]
    assert not list(lost_pose(SOUND, replace(TRUTH, parts=tuple(SOUND.parts))))
