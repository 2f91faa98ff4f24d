"""Pictures are drawn of what a result has, in either theme, and show what they should."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from fmdj_cloud.contracts import ViewFrames
from fmdj_cloud.report.panels import panels
from fmdj_cloud.report.pictures import DRAWINGS, drawable, mean_frame_png
from fmdj_cloud.report.style import DARK, LIGHT
from fmdj_cloud.report.traces import axis_text, traces_png
from fmdj_cloud.signals_h5 import SignalsReader
from tests.support.pose import signals as pose_files
from tests.support.report.files import HEIGHT, WIDTH, write_svd

VIEW = ViewFrames(height=HEIGHT, width=WIDTH, fps=30, frames=(300,), header_frames=(300,))


@pytest.fixture
def svd(tmp_path: Path) -> Iterator[SignalsReader]:
    with SignalsReader(write_svd(tmp_path / "signals.h5")) as reader:
        yield reader


@pytest.fixture
def pose(tmp_path: Path) -> Iterator[SignalsReader]:
    with SignalsReader(pose_files.write(tmp_path / "pose.h5", views=(0,))) as reader:
        yield reader


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(imread(io.BytesIO(png)))[..., :3]


def test_every_picture_of_a_result_is_drawn_in_both_themes(svd: SignalsReader, pose: SignalsReader) -> None:
    assert drawable(svd) == ("mean-frame", "masks", "traces")
    assert drawable(pose) == ("keypoints", "traces")
    for signals, views in ((svd, (VIEW,)), (pose, pose_files.manifest().views)):
        for name in drawable(signals):
            light, dark = (DRAWINGS[name].draw(signals, views, theme) for theme in (LIGHT, DARK))
            assert light is not None
            assert dark is not None
            if name != "mean-frame":  # which fills its picture
                assert pixels(light)[0, 0].min() == 1
                assert pixels(dark)[0, 0].max() < 0.2


def test_what_a_result_does_not_have_is_not_drawn(svd: SignalsReader, pose: SignalsReader) -> None:
    assert DRAWINGS["keypoints"].draw(svd, (), LIGHT) is None
    assert DRAWINGS["mean-frame"].draw(pose, (), LIGHT) is None
    assert DRAWINGS["masks"].draw(pose, (), LIGHT) is None


def test_traces_come_in_the_order_of_the_page_and_each_in_slices(svd: SignalsReader, pose: SignalsReader) -> None:
    names = [panel.name for panel in panels(svd)]
    assert names == [
        "pupil 1: area",
        "pupil 1: centre, from its mean",
        "FullSVD: motion",
        "motion SVD 1: motion",
        "running 1: displacement",
        "blink 1: darkness",
    ]
    points = panels(pose)
    assert len(points) == 15
    assert points[0].name.endswith(": from its mean")
    for panel in (*panels(svd), *points):
        for line in panel.lines:
            assert line.read(10, 17).shape == (7,)


def test_a_spike_of_one_frame_is_seen_in_a_picture_of_a_long_trace(tmp_path: Path) -> None:
    found = []
    for spike in (None, 12_345):
        path = write_svd(tmp_path / f"{spike}.h5", 20_000, spike=spike)
        with SignalsReader(path) as signals:
            png = traces_png(signals)
        assert png is not None
        found.append(pixels(png))
    assert found[0].shape == found[1].shape
    third = slice(found[0].shape[0] * 2 // 6, found[0].shape[0] * 3 // 6)
    background = np.array([1.0, 1.0, 1.0])
    inked = [np.any(one[third] != background, axis=(0, 2)) for one in found]
    assert not np.array_equal(found[0][third], found[1][third])
    assert inked[1].any()


def test_traces_that_a_picture_has_no_room_for_are_told() -> None:
    assert axis_text(30.0, 64) == "time (s)"
    assert axis_text(0.0, 64) == "frame"
    assert axis_text(30.0, 75) == "time (s); 11 of 75 panels are left out"


def test_rois_are_drawn_where_their_view_lies(tmp_path: Path) -> None:
    with SignalsReader(write_svd(tmp_path / "signals.h5")) as signals:
        alone = mean_frame_png(signals, (VIEW,))
        beside = mean_frame_png(signals, (VIEW, VIEW))  # of another size than the mean frame: places aren't known
        unknown = mean_frame_png(signals)
    assert alone == unknown
    assert alone is not None
    assert beside is not None
    assert np.ptp(pixels(beside), axis=2).max() == 0  # gray, no outline
    assert np.ptp(pixels(alone), axis=2).max() > 0
