"""Checks of parameters and ROIs before computing, each with the sentence that a scientist needs."""

import numpy as np
import pytest

from fmdj_cloud.contracts import BitMask, Reflector, Roi, RoiKind, SvdParams
from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.svd.inputs import check_params, components
from fmdj_cloud.worker.svd.needs import needs

SIZES = ((120, 160),)


def ellipse(height: int, width: int) -> BitMask:
    return BitMask.from_array(np.ones((height, width), bool))


def motion(**fields) -> Roi:
    return Roi(**{"kind": RoiKind.MOTION_SVD, "y0": 10, "y1": 50, "x0": 20, "x1": 60, **fields})


def pupil(**fields) -> Roi:
    base = {"kind": RoiKind.PUPIL, "y0": 10, "y1": 40, "x0": 20, "x1": 60, "saturation": 80.0, "pupil_sigma": 2.0}
    return Roi(**{**base, "ellipse": ellipse(30, 40), **fields})


def blink(**fields) -> Roi:
    return pupil(**{"kind": RoiKind.BLINK, "pupil_sigma": None, **fields})


def check(*rois: Roi, sizes=SIZES, nframes=1000, accept=(), **fields) -> tuple[str, ...]:
    return check_params(SvdParams(**{"sbin": 4, "rois": rois, **fields}), sizes, nframes, accept)


def test_good_rois_pass_without_a_word():
    running = Roi(kind=RoiKind.RUNNING, y0=80, y1=120, x0=0, x1=160)
    assert check(motion(), pupil(), blink(), running, drawn_on=SIZES) == ()


@pytest.mark.parametrize(
    ("name", "rois", "sentence"),
    [
        ("roi_view", [motion(view=1)], r"ROI 0 \(motion SVD\) lies in view 1 and the recording has 1 view"),
        ("roi_inside", [motion(x1=161)], r"x 20 to 160, beyond view 0 of 160x120"),
        ("roi_inside", [motion(), motion(y1=121)], r"ROI 1 \(motion SVD\) spans y 10 to 120"),
        ("roi_size", [motion(y0=8, y1=12)], "is 40x4 pixels, of which 10x0 binned pixels are left"),
        ("roi_size", [motion(y0=8, y1=13, x0=8, x1=12)], "of which 1x1 binned pixels are left with sbin 4"),
        ("roi_ellipse", [pupil(ellipse=None)], r"ROI 0 \(pupil\) has no ellipse"),
        ("roi_ellipse", [pupil(ellipse=ellipse(40, 30))], "is 40x30 pixels and its ellipse 30x40"),
        ("roi_ellipse", [blink(ellipse=ellipse(30, 39))], "ellipse 39x30"),
        ("roi_saturation", [pupil(saturation=None)], "saturation None"),
        ("roi_saturation", [blink(saturation=0.0)], r"saturation 0\.0.*above 0"),
        ("roi_saturation", [blink(saturation=256.0)], r"saturation 256\.0"),
        ("roi_saturation", [pupil(saturation=float("nan"))], "saturation nan"),
        ("roi_sigma", [pupil(pupil_sigma=None)], r"pupil_sigma None, .*the GUI's default is 2\)"),
        ("roi_sigma", [pupil(pupil_sigma=0.0)], r"pupil_sigma 0\.0"),
        (
            "roi_reflector",
            [pupil(reflectors=(Reflector(y0=1, y1=5, x0=1, x1=5, ellipse=ellipse(4, 5)),))],
            "corneal reflection .* 4x4 pixels and its ellipse 5x4",
        ),
    ],
)
def test_a_roi_that_facemap_cant_compute_is_refused(name, rois, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        check(*rois)
    assert caught.value.check == name


def test_a_roi_in_the_columns_that_binning_leaves_over_is_refused_with_the_limit():
    fits, beyond = motion(x1=101), motion(x1=102)
    assert check(fits, sizes=((120, 102),)) == ()
    with pytest.raises(InputError, match=r"reaches x 101.*end at x 100 or before.*divides the width of 102") as caught:
        check(beyond, sizes=((120, 102),))
    assert caught.value.check == "roi_edge"


def test_a_roi_at_the_edge_of_a_frame_that_bins_divide_passes():
    assert check(motion(x1=160, y1=120)) == ()


def test_a_small_motion_roi_is_no_matter_where_no_svd_is_asked_for():
    assert check(motion(y0=10, y1=12), mot_svd=False) == ()


def test_rois_drawn_on_another_size_are_refused_naming_both():
    with pytest.raises(InputError, match="drawn on video of 640x480 and this recording is 160x120") as caught:
        check(motion(), drawn_on=((480, 640),))
    assert caught.value.check == "roi_drawn_on"


def test_rois_drawn_on_another_size_pass_with_a_warning_once_accepted():
    (warning,) = check(motion(), drawn_on=((480, 640),), accept=("roi_drawn_on",))
    assert "used as they are" in warning


def test_the_size_drawn_on_is_no_matter_without_rois():
    assert check(drawn_on=((480, 640),)) == ()


@pytest.mark.parametrize("sbin", [121, 70])
def test_bins_larger_than_the_frame_are_refused(sbin):
    with pytest.raises(InputError, match=f"sbin.*{sbin}") as caught:
        check(sbin=sbin, sizes=((120, 139),))
    assert caught.value.check == "sbin"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"nframes": 2_147_485}, r"projections of the full frame would be 2147485 x 500 numbers, 4\.0 GiB.*split"),
        ({"sizes": ((3000, 3000),), "sbin": 2}, r"masks of the full frame would be 2250000 x 500.*larger sbin"),
        ({"sizes": ((1100, 1000),) * 2, "sbin": 1}, "masks of the full frame would be 2200000 x 500"),
    ],
)
def test_outputs_that_facemap_cant_save_are_refused(fields, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        check(**{"nframes": 5000, **fields})
    assert caught.value.check == "output_size"


def test_components_are_bounded_by_pixels_and_frames():
    assert components(19_200, 10_000) == 500
    assert components(90, 10_000) == 89
    assert components(19_200, 51) == 50


@pytest.mark.parametrize(
    ("size", "nframes", "sbin", "measured_mib"),
    [
        ((480, 640), 6000, 4, 3000),
        ((480, 640), 6000, 8, 2400),
        ((240, 320), 2500, 1, 2000),
        ((240, 320), 2500, 2, 1500),
        ((240, 320), 2500, 4, 1100),
    ],
)
def test_the_least_memory_is_no_more_than_was_measured_and_at_least_two_thirds(size, nframes, sbin, measured_mib):
    least = needs(SvdParams(sbin=sbin), [size], nframes).memory_mib
    assert 0.65 * measured_mib < least <= measured_mib


def test_scratch_holds_facemaps_file_and_ours():
    n, pixels = 100_000, 120 * 160
    facemap = 4 * 500 * (n + 2 * pixels)
    ours = 4 * 500 * (n + pixels)
    assert needs(SvdParams(sbin=4), [(480, 640)], n).scratch_mib == (facemap + ours) // 2**20 + 1
