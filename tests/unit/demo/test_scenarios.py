"""The demo's recordings are chosen by name."""

from __future__ import annotations

import pytest

from fmdj_cloud.demo.scenarios import SCENARIOS, chosen
from fmdj_cloud.errors import UsageError


def test_no_name_means_all_of_them():
    assert chosen(SCENARIOS, ()) == SCENARIOS


def test_names_choose_in_the_usual_order():
    assert [one.name for one in chosen(SCENARIOS, ("pose", "one-camera"))] == ["one-camera", "pose"]


def test_an_unknown_name_is_answered_with_those_that_there_are():
    with pytest.raises(UsageError, match=r"no recording two-camera.*one-camera, two-views"):
        chosen(SCENARIOS, ("two-camera",))
