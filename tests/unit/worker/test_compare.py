"""What `fmdj compare` makes of two engines' signals where a number is missing."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.worker.compare import _apart, _largest, _relative

NAN = np.nan


@pytest.mark.parametrize(
    ("theirs", "ours", "apart"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([1.0, NAN], [1.0, NAN], 0.0),
        ([1.0, 2.0], [1.0, NAN], np.inf),
        ([NAN, NAN], [1.0, 1.0], np.inf),
        ([], [], 0.0),
    ],
)
def test_what_is_missing_in_one_is_infinitely_far(theirs: list[float], ours: list[float], apart: float) -> None:
    assert _largest(_apart(np.array(theirs), np.array(ours))) == apart
    assert _largest(_apart(np.array(ours), np.array(theirs))) == apart


def test_differences_are_relative_to_the_largest_number() -> None:
    assert _relative(np.array([NAN, 4.0]), np.array([NAN, 3.0])) == 0.25
