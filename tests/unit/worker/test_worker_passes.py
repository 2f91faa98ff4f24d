"""Regions, their numbers and the passes that Facemap computes them in."""

from fmdj_cloud.contracts import BitMask, Roi, RoiKind, SvdParams
from fmdj_cloud.worker.svd.geometry import (
    binned_box,
    binned_pixels,
    has_full_frame,
    layout_pixels,
    region_name,
    roi_number,
)
from fmdj_cloud.worker.svd.passes import Pass, frames_before_projection, plan_passes


def roi(kind: RoiKind, y0=0, y1=10, x0=0, x1=10, view=0, name=None) -> Roi:
    return Roi(kind=kind, view=view, y0=y0, y1=y1, x0=x0, x1=x1, name=name)


def motion(*box, **fields) -> Roi:
    return roi(RoiKind.MOTION_SVD, *box, **fields)


def pupil(*box, **fields) -> Roi:
    return roi(RoiKind.PUPIL, *box, **fields)


def blink(*box, **fields) -> Roi:
    return roi(RoiKind.BLINK, *box, **fields)


def names_and_rois(params: SvdParams) -> list[tuple[str, tuple[int, ...]]]:
    return [(part.name, part.rois) for part in plan_passes(params)]


def test_the_full_frame_alone_is_one_pass():
    assert plan_passes(SvdParams()) == (Pass("main", True, True, False, ()),)


def test_motion_rois_that_share_no_bin_are_computed_with_the_full_frame():
    params = SvdParams(sbin=2, rois=(motion(0, 21, 0, 21), motion(20, 41, 0, 21), motion(0, 21, 20, 41)))
    assert names_and_rois(params) == [("main", (0, 1, 2))]


def test_rois_that_touch_in_pixels_but_share_a_bin_count_as_overlapping():
    left, right = motion(0, 20, 0, 10), motion(0, 20, 10, 30)
    assert names_and_rois(SvdParams(sbin=4, rois=(left, right))) == [("main", (0,)), ("overlap1", (1,))]


def test_overlapping_motion_rois_go_apart_and_only_main_has_the_full_frame():
    a, b, c, d = (motion(0, 20, 0, 20), motion(10, 30, 0, 20), motion(10, 20, 10, 20), motion(50, 70, 0, 20))
    passes = plan_passes(SvdParams(rois=(a, b, c, d)))
    assert [(p.name, p.rois, p.full_svd) for p in passes] == [
        ("main", (0, 3), True),
        ("overlap1", (1,), False),
        ("overlap2", (2,), False),
    ]


def test_equal_boxes_in_different_views_dont_overlap():
    assert names_and_rois(SvdParams(rois=(motion(view=0), motion(view=1)))) == [("main", (0, 1))]


def test_eye_rois_have_passes_of_their_own_kind_without_svd():
    rois = (pupil(), blink(), motion(50, 90, 0, 20), pupil(5, 15, 5, 15), pupil(20, 30, 0, 10), blink(40, 50, 0, 10))
    passes = plan_passes(SvdParams(rois=rois))
    assert [(p.name, p.rois, p.has_svd) for p in passes] == [
        ("main", (2,), True),
        ("pupil1", (0, 4), False),
        ("pupil2", (3,), False),
        ("blink1", (1, 5), False),
    ]


def test_running_rois_are_in_no_pass():
    assert names_and_rois(SvdParams(rois=(roi(RoiKind.RUNNING),))) == [("main", ())]


def test_without_full_frame_and_motion_rois_nothing_but_the_eyes_is_computed():
    assert names_and_rois(SvdParams(full_svd=False, rois=(pupil(),))) == [("pupil1", (0,))]


def test_without_any_svd_the_first_eye_pass_yields_the_mean_frame():
    params = SvdParams(mot_svd=False, mov_svd=False, rois=(motion(), blink()))
    assert names_and_rois(params) == [("blink1", (1,))]


def test_without_anything_a_pass_is_left_for_the_mean_frame():
    assert plan_passes(SvdParams(mot_svd=False, rois=(motion(),))) == (Pass("main", False, False, False, ()),)


def test_a_movie_svd_alone_is_computed_along_with_the_motion_svd():
    (part,) = plan_passes(SvdParams(mot_svd=False, mov_svd=True))
    assert part.mot_svd
    assert part.mov_svd


def test_roi_numbers_follow_the_full_frame_where_it_is_computed():
    rois = (motion(), pupil())
    with_full, without = SvdParams(rois=rois), SvdParams(rois=rois, full_svd=False)
    neither = SvdParams(rois=rois, mot_svd=False)
    assert [roi_number(with_full, i) for i in (0, 1)] == [1, 2]
    assert [roi_number(without, i) for i in (0, 1)] == [0, 1]
    assert [roi_number(neither, i) for i in (0, 1)] == [0, 1]
    assert not has_full_frame(neither)


def test_regions_are_named_by_kind_and_place_unless_they_have_a_name():
    long = "a name that is longer than sixteen"
    params = SvdParams(rois=(motion(), pupil(), motion(), roi(RoiKind.RUNNING), pupil(name=long)))
    names = [region_name(params, index) for index in range(5)]
    assert names == ["motion SVD 1", "pupil 1", "motion SVD 2", "running 1", long[:16]]


def test_bins_of_a_roi():
    box = binned_box(motion(8, 30, 8, 30), 4)
    assert (box.y0, box.y1, box.x0, box.x1) == (2, 7, 2, 8)
    exact = binned_box(motion(0, 9, 0, 9), 4)
    assert (exact.y1, exact.x1) == (2, 2)


def test_pixels_of_several_views():
    assert binned_pixels([(100, 200), (50, 60)], 4) == 25 * 50 + 12 * 15
    assert layout_pixels([(100, 200)], 4) == 25 * 50
    assert layout_pixels([(100, 200), (50, 60)], 4) == 2 * 25 * 50


def test_frames_read_before_the_projection():
    eyes, full = Pass("pupil1", False, False, False, (0,)), Pass("main", True, True, False, ())
    assert frames_before_projection(eyes, [6000]) == 1000
    assert frames_before_projection(full, [6000]) == 1000 + 6000
    assert frames_before_projection(full, [40_000]) == 1000 + 15_000
    assert frames_before_projection(full, [1999]) == 1000 + 1000
    assert frames_before_projection(full, [150, 30]) == 180 + 180


def test_masks_survive_the_spec():
    import numpy as np

    mask = np.random.default_rng(0).random((7, 13)) > 0.5
    assert (BitMask.from_array(mask).to_array() == mask).all()
