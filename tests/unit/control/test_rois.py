"""ROI dicts of the Facemap GUI, numpy or lists, become ROIs, or are refused with the ROI and the piece named."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.contracts import RoiKind
from fmdj_cloud.control.rois import parse_rois
from fmdj_cloud.errors import InputError


def test_a_pupil_keeps_what_facemap_uses(make_roi):
    reflector = {"yrange": np.arange(2, 5), "xrange": np.arange(3, 9), "ellipse": np.ones((3, 6), bool)}
    (roi,), notes = parse_rois([make_roi(reflector=[reflector])])
    assert (roi.y0, roi.y1, roi.x0, roi.x1, roi.view) == (10, 30, 40, 70, 0)
    assert (roi.saturation, roi.pupil_sigma) == (200.0, 2.5)
    assert isinstance(roi.saturation, float)
    assert roi.ellipse.to_array().shape == (20, 30)
    assert (roi.reflectors[0].y0, roi.reflectors[0].x1) == (2, 9)
    assert notes == []


def test_lists_are_as_good_as_arrays(make_roi):
    plain = make_roi(
        yrange=list(range(10, 30)), xrange=tuple(range(40, 70)), ellipse=[[True] * 30] * 20, ivid=0, saturation=[200]
    )
    assert parse_rois([plain])[0] == parse_rois(np.array([make_roi()], dtype=object))[0]


def test_a_motion_roi_needs_no_eye_and_keeps_none(make_roi):
    (roi,), _ = parse_rois([make_roi(RoiKind.MOTION_SVD, ellipse=..., pupil_sigma=..., saturation=...)])
    assert parse_rois([make_roi(RoiKind.MOTION_SVD)])[0] == (roi,)
    assert (roi.ellipse, roi.saturation, roi.pupil_sigma) == (None, None, None)


def test_rind_wins_over_rtype_and_it_is_noted(make_roi):
    (roi,), notes = parse_rois([make_roi(RoiKind.BLINK, rtype="Pupil")])
    assert roi.kind is RoiKind.BLINK
    assert "goes by rind" in notes[0]


def test_rtype_alone_is_enough(make_roi):
    (roi,), _ = parse_rois([make_roi(RoiKind.RUNNING, rind=..., rtype="Running")])
    assert roi.kind is RoiKind.RUNNING


def test_no_rois_is_no_rois():
    assert parse_rois(None) == ((), [])
    assert parse_rois([]) == ((), [])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rind": ..., "rtype": ...}, "no rind"),
        ({"rind": 7}, "rind=7"),
        ({"yrange": ...}, "ROI 0 .pupil. has no yrange"),
        ({"yrange": []}, "is empty"),
        ({"yrange": [10, 12, 13]}, "not consecutive"),
        ({"yrange": [1e300]}, "not a list of pixel indices"),
        ({"yrange": [float("nan")]}, "not made of finite numbers"),
        ({"yrange": "10:30"}, "not made of numbers"),
        ({"xrange": np.arange(-2, 28)}, "x=-2, outside"),
        ({"ivid": -1}, "ivid=-1"),
        ({"ivid": 0.5}, "ivid=0.5"),
        ({"saturation": ...}, "no saturation"),
        ({"saturation": [1, 2]}, "must be one number"),
        ({"pupil_sigma": 0}, "pupil_sigma=0"),
        ({"ellipse": ...}, "no ellipse"),
        ({"ellipse": np.ones((30, 20), bool)}, r"shape \(30, 20\), but covers 20 x 30"),
        ({"reflector": 3}, "reflector that is a int"),
        ({"reflector": [3]}, "reflector 0 is a int"),
        ({"reflector": [{"yrange": [1, 2], "xrange": [1, 2]}]}, "reflector 0 has no ellipse"),
    ],
)
def test_what_is_missing_or_wrong_is_named(make_roi, changes, words):
    with pytest.raises(InputError, match=words) as refused:
        parse_rois([make_roi(**changes)])
    assert refused.value.check == "rois"


@pytest.mark.parametrize("rois", [3, "rois", {"rind": 0}, [3]])
def test_what_is_no_list_of_dicts_is_refused(rois):
    with pytest.raises(InputError, match="it must be a"):
        parse_rois(rois)
