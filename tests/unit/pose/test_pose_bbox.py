"""Bounding boxes in every shape in which labs have them."""

import numpy as np
import pytest

from fmdj_cloud.contracts import BBox, read_bbox
from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.pose.window import window, windows

ONE = BBox(y0=10, y1=90, x0=20, x1=160)
TWO = BBox(y0=0, y1=50, x0=5, x1=60)


@pytest.mark.parametrize("value", [None, [], (), {}, np.array([])])
def test_nothing_means_whole_frames(value):
    assert read_bbox(value, 2) == ()


@pytest.mark.parametrize(
    "value",
    [
        [10, 90, 20, 160],
        (10.0, 90.0, 20.0, 160.0),
        np.array([10, 90, 20, 160]),
        [[10, 90, 20, 160]],
        np.array([[10, 90, 20, 160]], np.float64),
        [np.array([10, 90, 20, 160])],
        {"y0": 10, "y1": 90, "x0": 20, "x1": 160},
        [{"y0": 10, "y1": 90, "x0": 20, "x1": 160}],
        [np.int64(10), np.int32(90), 20, 160],
    ],
)
def test_the_elements_flat_shape_and_facemaps_nested_one_mean_the_same(value):
    assert read_bbox(value, 1) == (ONE,)


def test_one_box_for_every_view():
    assert read_bbox([[10, 90, 20, 160], [0, 50, 5, 60]], 2) == (ONE, TWO)


@pytest.mark.parametrize(
    ("value", "views", "sentence"),
    [
        ([10, 90, 20, 160], 2, "bbox holds 1 boxes for 2 view"),
        ([[10, 90, 20, 160], [0, 50, 5, 60]], 1, "bbox holds 2 boxes for 1 view"),
        ([90, 10, 20, 160], 1, "rows 90:10 and columns 20:160, which is empty"),
        ([10, 90, 20, 20], 1, "which is empty"),
        ([-1, 90, 20, 160], 1, "must be whole pixels from 0 on"),
        ([10.5, 90, 20, 160], 1, "must be whole pixels from 0 on"),
        ([10, 90, 20], 1, "bbox holds 3 boxes"),
        ([[10, 90, 20]], 1, r"should be \[y0, y1, x0, x1\]"),
        ([["a", 90, 20, 160]], 1, r"should be \[y0, y1, x0, x1\]"),
        ({"top": 10}, 1, "should have the numbers y0, y1, x0 and x1"),
        ("10, 90, 20, 160", 1, r"should be \[y0, y1, x0, x1\]"),
        (7, 1, r"should be \[y0, y1, x0, x1\]"),
        ([[float("nan"), 90, 20, 160]], 1, "whole pixels"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(value, views, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_bbox(value, views)


def test_an_empty_box_cant_even_be_made():
    with pytest.raises(ValueError, match="is empty"):
        BBox(y0=5, y1=5, x0=0, x1=9)


def test_a_box_outside_of_its_frame_is_refused():
    with pytest.raises(InputError, match="bounding box of view 1, rows 0:50, columns 5:60, lies outside") as caught:
        windows((ONE, TWO), ((100, 200), (100, 59)))
    assert caught.value.check == "bbox"


def test_as_many_boxes_as_views():
    with pytest.raises(InputError, match="bbox holds 1 boxes and the recording has 2"):
        windows((ONE,), ((100, 200), (100, 200)))


@pytest.mark.parametrize(
    ("height", "width", "side", "margins"),
    [
        (256, 256, 256, (0, 0, 0, 0)),
        (100, 100, 100, (0, 0, 0, 0)),
        (240, 320, 320, (0, 0, 40, 40)),
        (320, 240, 320, (40, 40, 0, 0)),
        (99, 120, 121, (0, 1, 11, 11)),
        (120, 99, 121, (11, 11, 0, 1)),
    ],
)
def test_a_window_is_the_box_in_the_middle_of_a_square(height, width, side, margins):
    seen = window(height, width, None)
    assert (seen.side, seen.margins) == (side, margins)
    left, right, above, below = margins
    assert (height + above + below, width + left + right) == (side, side)
    assert seen.origin == (-left, -above)


def test_points_are_told_in_pixels_of_the_frame():
    seen = window(200, 300, ONE)
    assert seen.origin == (20, 10 - (140 - 80) // 2)
    assert seen.scale == 140 / 256
