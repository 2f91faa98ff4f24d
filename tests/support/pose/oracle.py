"""Facemap itself at batch 1, on one view and one file, where it is right; and how closely others must agree."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import torch

from fmdj_cloud.contracts import BBox
from fmdj_cloud.worker.pose.arithmetic import picture
from fmdj_cloud.worker.pose.levels import levels
from fmdj_cloud.worker.pose.model import Model, facemap_home
from fmdj_cloud.worker.pose.window import window

NEAR_PX = 1e-3
TIE = 1e-5


class Oracle:
    """Runs `facemap.pose.pose.Pose` on copies of videos, for it writes beside them.

    Parameters
    ----------
    folder : Path
    model : Model
    """

    def __init__(self, folder: Path, model: Model) -> None:
        self.folder = folder
        self.model = model
        self._home = folder / "home"
        with mock.patch.dict(os.environ):
            facemap_home(self._home, model)

    def points(self, video: Path, bbox: BBox | None = None) -> np.ndarray:
        """Return x, y, likelihood as (frames, body parts, 3), in the order of Facemap's list."""
        with mock.patch.dict(os.environ, HOME=str(self._home)):  # it downloads what it misses there
            return self._points(video, bbox)

    def _points(self, video: Path, bbox: BBox | None) -> np.ndarray:
        from facemap.pose.pose import Pose

        self.folder.joinpath("videos").mkdir(exist_ok=True)
        copy = shutil.copy(video, self.folder / "videos" / video.name)
        options = {}
        if bbox is not None:
            height, width = bbox.y1 - bbox.y0, bbox.x1 - bbox.x0
            options = {
                "bbox": [[bbox.y0, bbox.y1, bbox.x0, bbox.x1]],
                "bbox_set": True,
                "add_padding": height != width,
                "resize": (height, width) != (256, 256),
            }
        with contextlib.redirect_stdout(io.StringIO()):
            Pose([[str(copy)]], **{"bbox": [], **options}).run()
        with h5py.File(Path(copy).with_name(f"{video.stem}_FacemapPose.h5")) as file:
            group = file["Facemap"]
            return np.stack(
                [
                    np.stack([group[part][name][()] for name in ("x", "y", "likelihood")], -1)
                    for part in self.model.body_parts
                ],
                1,
            )


def assert_equal(ours: np.ndarray, facemaps: np.ndarray, ties: np.ndarray | None = None) -> None:
    """Compare points (frames, body parts, 3).

    Parameters
    ----------
    ours, facemaps : ndarray
    ties : ndarray of bool, shape (frames, body parts), optional
        Where the two highest maxima of the heat map differ by less than `TIE`.
    """
    assert ours.shape == facemaps.shape
    apart = np.abs(ours[..., :2] - facemaps[..., :2]).max(-1)
    far = ~(apart <= NEAR_PX)
    assert far.mean() <= 1e-3, f"{far.sum()} of {far.size} points differ, by up to {apart.max()} px"
    if far.any():
        assert ties is not None
        assert ties[far].all()
    np.testing.assert_allclose(ours[..., 2], facemaps[..., 2], atol=1e-5)


def ties(net: torch.nn.Module, frames: np.ndarray, bbox: BBox | None = None) -> np.ndarray:
    """Return where the two highest pixels of the heat maps differ by less than `TIE`, (frames, body parts)."""
    found = []
    for frame in frames:
        seen = window(*frame.shape, bbox)
        low, high = levels(frame)
        box = torch.from_numpy(frame[seen.box.y0 : seen.box.y1, seen.box.x0 : seen.box.x1].copy())
        with torch.no_grad():
            heat = net(picture(box[None], torch.tensor([low]), torch.tensor([high]), seen))[0]
        highest = heat[0].flatten(-2).topk(2).values
        found.append((highest[:, 0] - highest[:, 1] < TIE).numpy())
    return np.array(found)
