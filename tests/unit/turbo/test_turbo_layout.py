"""Where Facemap was seen to place views."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.worker.turbo.layout import lay_out

A, B, C = (96, 128), (120, 64), (50, 200)


@pytest.mark.parametrize(
    ("sizes", "picture", "tops", "lefts"),
    [
        ([A], (96, 128), [0], [0]),
        ([A, A], (96, 256), [0, 0], [0, 128]),
        ([A, B], (120, 192), [0, 0], [0, 128]),
        ([A, B, C], (120, 392), [0, 0, 0], [0, 328, 128]),
        ([A, A, A, A], (192, 256), [0, 96, 0, 96], [0, 0, 128, 128]),
        ([A, B, C, A], (192, 328), [0, 50, 0, 96], [0, 128, 128, 0]),
        ([A, B, C, A, B], (192, 392), [0, 50, 0, 96, 0], [0, 128, 128, 0, 328]),
        ([A, B, C, A, B, C], (240, 392), [0, 0, 0, 96, 120, 50], [0, 328, 128, 0, 328, 128]),
        ([A, B, C, A, B, C, A], (192, 592), [0, 50, 96, 96, 0, 0, 0], [0, 328, 128, 0, 528, 328, 128]),
    ],
)
def test_views_lie_where_facemap_lays_them(sizes, picture, tops, lefts):
    layout = lay_out(sizes)
    assert (layout.height, layout.width) == picture
    assert (list(layout.tops), list(layout.lefts)) == (tops, lefts)


def test_pixels_find_their_place():
    layout = lay_out([(2, 3), (1, 2)])
    picture = layout.picture(np.arange(1, 9))
    np.testing.assert_array_equal(picture, [[1, 2, 3, 7, 8], [4, 5, 6, 0, 0]])
