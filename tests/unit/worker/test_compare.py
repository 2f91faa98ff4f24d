"""What `fmdj compare` makes of two engines' signals where a number is missing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fmdj_cloud.contracts import Kind, Origin
from fmdj_cloud.signals_h5 import RegionInfo, SignalsReader, SignalsWriter
from fmdj_cloud.worker.compare import Difference, _apart, _largest, _relative, compare
from fmdj_cloud.worker.versus import Versus

NAN = np.nan
PLACE = (np.arange(2),) * 4


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


@pytest.mark.parametrize(("value", "told"), [(0.5, 0.5), (None, None), (np.inf, None), (NAN, None)])
def test_json_has_no_infinite_number(value: float | None, told: float | None) -> None:
    one = Difference(roi_no=1, region="eye", signal="pupil", measure="area", value=value)
    found = Versus(seconds={}, warnings={}, differences=(one,)).model_dump(mode="json")
    assert found["differences"][0]["value"] == told
    json.dumps(found, allow_nan=False)


def test_differences_are_relative_to_the_largest_number() -> None:
    assert _relative(np.array([NAN, 4.0]), np.array([NAN, 3.0])) == 0.25


def signals(path, regions, values=(4.0, 2.0), turn=0.0):
    """Write a file of regions with two components each, and a pupil, whose axes are turned."""
    with SignalsWriter(path, kind=Kind.SVD, run_id="r", nframes=3) as writer:
        for number, name in regions.items():
            writer.region(RegionInfo(number, "motion_svd", name, 0, *PLACE, Origin.TURBO))
            writer.motion(number, np.ones(3, np.float32))
            masks = np.eye(2, dtype=np.float32).reshape(1, 2, 2)
            found = None if values is None else np.array(values, np.float32)
            writer.components(number, "mot", masks, np.ones((3, 2), np.float32), found)
        writer.region(RegionInfo(9, "pupil", "eye", 0, *PLACE, Origin.TURBO))
        axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        fields = {name: np.ones(3) for name in ("area", "area_smooth")}
        fields |= {name: np.ones((3, 2)) for name in ("com", "com_smooth")}
        writer.pupil(9, {**fields, "axdir": np.tile(axes, (3, 1, 1)), "axlen": np.tile([9.0, 4.0], (3, 1))})
    return path


def compared(theirs, ours):
    with SignalsReader(theirs) as a, SignalsReader(ours) as b:
        return {(one.region, one.signal, one.measure): one.value for one in compare(a, b)}


def test_regions_that_one_side_alone_has_are_told(tmp_path) -> None:
    found = compared(
        signals(tmp_path / "a", {1: "left", 2: "snout"}), signals(tmp_path / "b", {2: "snout", 3: "right"})
    )
    assert ("left", "region", "only Facemap's") in found
    assert ("right", "region", "only turbo's") in found
    assert found["snout", "motion", "max difference"] == 0
    assert not [key for key in found if key[0] in ("left", "right") and key[1] != "region"]


def test_singular_values_are_compared_where_both_have_some(tmp_path) -> None:
    theirs, ours = signals(tmp_path / "a", {1: "w"}), signals(tmp_path / "b", {1: "w"}, values=(4.0, 2.5))
    assert compared(theirs, ours)["w", "motSVD", "singular values of 10"] == pytest.approx(0.25)
    none = signals(tmp_path / "c", {1: "w"}, values=None)
    assert compared(none, ours)["w", "motSVD", "singular values of 10"] is None


@pytest.mark.parametrize(("turn", "apart"), [(0.0, 0.0), (np.pi, 0.0), (np.pi / 2, 5 / np.hypot(9, 4))])
def test_axes_of_a_pupil_are_those_of_its_ellipse(tmp_path, turn: float, apart: float) -> None:
    theirs, ours = signals(tmp_path / "a", {}), signals(tmp_path / "b", {}, turn=turn)
    assert compared(theirs, ours)["eye", "pupil", "axes"] == pytest.approx(apart, abs=1e-12)
