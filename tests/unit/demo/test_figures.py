"""The figure of a run."""

from __future__ import annotations

import numpy as np

from fmdj_cloud.contracts import RoiKind
from fmdj_cloud.demo.figures import RoiOutline, run_figure
from fmdj_cloud.demo.pose_figure import pose_figure

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_figure_shows_frame_masks_and_traces_against_truth(tmp_path):
    rng = np.random.default_rng(0)
    trace = rng.random(200)
    path = run_figure(
        tmp_path / "run.png",
        title="one camera",
        avgframe=rng.random((30, 40)) * 255,
        rois=[
            RoiOutline("pupil", RoiKind.PUPIL, (2, 12, 20, 32)),
            RoiOutline("blink", RoiKind.BLINK, (2, 12, 20, 32)),
            RoiOutline("whisker", RoiKind.MOTION_SVD, (15, 28, 5, 20)),
        ],
        masks={name: rng.standard_normal((13, 15)) for name in ("full frame", "whisker", "snout", "paw")},
        traces={"whisker motion": trace, "pupil area": trace, "blink": trace},
        truth={"whisker motion": 3 * trace + 1},
        shaded=((20, 26),),
    )
    assert path.read_bytes().startswith(PNG)


def test_what_is_flat_or_missing_is_drawn_too(tmp_path):
    flat = np.zeros(50)
    holes = np.where(np.arange(50) % 7, 1.0, np.nan)
    path = run_figure(
        tmp_path / "run.png",
        title="nothing moves",
        avgframe=np.zeros((20, 20)),
        rois=[],
        masks={"full frame": np.zeros((20, 20))},
        traces={"motion": flat, "holes": holes},
        truth={"motion": flat, "holes": np.arange(50.0)},
    )
    assert path.read_bytes().startswith(PNG)


def test_a_run_without_traces_has_a_figure(tmp_path):
    path = run_figure(
        tmp_path / "run.png", title="t", avgframe=np.ones((20, 60)), rois=[], masks={}, traces={}, truth={}
    )
    assert path.read_bytes().startswith(PNG)


def test_poses_are_shown_on_a_frame_and_as_traces_against_truth(tmp_path):
    rng = np.random.default_rng(0)
    points = rng.normal(20, 1, (60, 2))
    points[7] = np.nan
    truth = np.full((60, 2), 20.0)
    path = pose_figure(
        tmp_path / "pose.png",
        title="a pose",
        frame=rng.integers(0, 255, (40, 50)),
        found={"nose(tip)": points, "eye(front)": points + 5},
        truth={"nose(tip)": truth, "eye(front)": truth + 5},
        others={"paw": points - 5},
        shaded=((10, 15),),
    )
    assert path.read_bytes().startswith(PNG)
