"""Eyes whose pupils are known."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.contracts import BitMask, Reflector, Roi, RoiKind
from fmdj_cloud.worker.turbo.eyes import join_pupil, measure_blink, measure_pupil, smooth, smooth_pupil

H, W = 60, 80


def eye(kind=RoiKind.PUPIL, **more) -> Roi:
    return Roi(kind=kind, y0=5, y1=5 + H, x0=9, x1=9 + W, **{"saturation": 100.0, "pupil_sigma": 2.0, **more})


def discs(*discs, ground=150, dark=40) -> np.ndarray:
    y, x = np.mgrid[:H, :W]
    return np.stack(
        [np.where(np.hypot(y - cy, (x - cx) / ratio) < r, dark, ground) for cy, cx, r, ratio in discs]
    ).astype(np.uint8)


def test_a_discs_centre_and_area_are_found():
    # a disc's variance is r^2/4 along each axis: at 2 standard deviations lies its edge
    found = measure_pupil(discs((25, 30, 9, 1), (40, 55, 15, 1), (30, 40, 10, 1.5)), eye())
    np.testing.assert_allclose(found.com, [[25, 30], [40, 55], [30, 40]], atol=1e-6)
    np.testing.assert_allclose(found.area, np.pi * np.array([81, 225, 150]), rtol=0.04)
    np.testing.assert_allclose(np.sort(found.axlen[2]), [100, 225], rtol=0.05)


def test_what_is_bright_or_outside_the_ellipse_doesnt_count():
    crops = discs((25, 30, 9, 1))
    crops[0, 50:, 60:] = 0
    assert abs(measure_pupil(crops, eye()).com[0, 0] - 25) > 1
    mask = np.ones((H, W), bool)
    mask[45:, 55:] = False
    found = measure_pupil(crops, eye(ellipse=BitMask.from_array(mask)))
    np.testing.assert_allclose(found.com[0], [25, 30], atol=1e-6)


def test_a_reflection_is_filled():
    crops = discs((25, 30, 9, 1))
    crops[0, 20:24, 32:37] = 255
    without = measure_pupil(crops, eye())
    lamp = Reflector(y0=19, y1=25, x0=31, x1=38, ellipse=BitMask.from_array(np.ones((6, 7), bool)))
    found = measure_pupil(crops, eye(reflectors=(lamp,)))
    assert np.abs(found.com[0] - (25, 30)).max() < 0.2 < np.abs(without.com[0] - (25, 30)).max()


def test_without_anything_dark_there_is_a_pupil_without_extent_or_none_at_all():
    crops = np.full((2, H, W), 200, np.uint8)
    found = measure_pupil(crops, eye())
    np.testing.assert_allclose(found.area, np.pi * 0.04)
    assert not found.com.any()
    lamp = Reflector(y0=19, y1=25, x0=31, x1=38, ellipse=BitMask.from_array(np.ones((6, 7), bool)))
    lost = measure_pupil(crops, eye(reflectors=(lamp,)))
    assert all(np.isnan(values).all() for values in (lost.area, lost.com, lost.axdir, lost.axlen))


def test_pieces_joined_are_the_whole():
    crops = np.random.default_rng(0).integers(0, 255, (20, H, W), np.uint8)
    whole, parts = measure_pupil(crops, eye()), [measure_pupil(crops[a : a + 7], eye()) for a in (0, 7, 14)]
    joined = join_pupil(parts)
    for name, values in smooth_pupil(joined).items():
        np.testing.assert_array_equal(values, smooth_pupil(whole)[name])


def test_blink_adds_up_how_dark_pixels_are():
    crops = np.full((2, H, W), 200, np.uint8)
    crops[1, 3:5, 4:9] = 60
    np.testing.assert_array_equal(measure_blink(crops, eye(RoiKind.BLINK, saturation=90.5)), [0, 10 * 30.5])


@pytest.mark.parametrize("count", [1, 2, 29, 400])
def test_outliers_become_medians(count):
    trace = np.full(count, 50.0)
    if count > 100:
        trace[[100, 200]] = 500, np.nan
    found = smooth(trace)
    assert found.shape == trace.shape
    np.testing.assert_array_equal(found[40:-40], 50)


def test_a_trace_without_a_number_is_zero():
    assert smooth(np.full(9, np.nan)).tolist() == [0] * 9
