"""Our points are Facemap's at batch 1 where Facemap is right, and never depend on the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fmdj_cloud.contracts import BBox
from fmdj_cloud.worker.pose.model import build, facemap_parts, read_model
from tests.support.pose import models
from tests.support.pose.inference import infer
from tests.support.pose.oracle import Oracle, assert_equal, ties
from tests.support.pose.videos import decode

pytestmark = pytest.mark.integration

GPUS = (0, *((1,) if torch.cuda.is_available() else ()))
"""On every device that is there; Facemap takes the GPU where there is one, so both must be told the same."""
SIZES = {
    "square": (256, 256),
    "small-square": (120, 120),
    "wide": (120, 200),
    "tall": (200, 120),
    "odd": (96, 126),
    "larger": (300, 402),
}
BOXES = {
    "whole": None,
    "square": BBox(y0=7, y1=87, x0=13, x1=93),
    "wide": BBox(y0=10, y1=60, x0=0, x1=110),
    "tall": BBox(y0=0, y1=95, x0=31, x1=80),
    "odd": BBox(y0=1, y1=50, x0=2, x1=84),
}


@pytest.fixture(params=GPUS, ids=["cpu", "cuda"][: len(GPUS)])
def gpus(request, monkeypatch):
    if request.param == 0:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    else:
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # Facemap leaves torch's default on
    return request.param


def compare(oracle, model, path, folder, bbox, gpus, **options):
    facemaps = oracle.points(path, bbox)
    ours = infer(model, path, folder, bbox=bbox, gpus=gpus, **options)
    assert_equal(ours, facemaps, ties(build(model), decode(path), bbox))
    assert len(np.unique(facemaps[..., :2].round().reshape(-1, 2), axis=0)) > 3 * len(facemaps)  # the points do move
    return ours


@pytest.mark.parametrize("size", SIZES)
def test_whole_frames_of_any_shape(oracle, model, video, tmp_path, gpus, size):
    height, width = SIZES[size]
    compare(oracle, model, video(f"{size}.avi", 16, height, width), tmp_path, None, gpus)


@pytest.mark.parametrize("box", BOXES)
def test_boxes_of_any_shape(oracle, model, video, tmp_path, gpus, box):
    compare(oracle, model, video("boxed.avi", 16, 100, 132, seed=3), tmp_path, BOXES[box], gpus)


@pytest.mark.parametrize("name", ["color.avi", "color.mp4"])
def test_colour(oracle, model, video, tmp_path, gpus, name):
    compare(oracle, model, video(name, 16, 120, 160, seed=4, color=True), tmp_path, None, gpus)


def test_a_network_as_large_as_facemaps(model, video, tmp_path, gpus):
    full = read_model(models.save(tmp_path / "full.pt", models.FULL, seed=1), facemap_parts())
    compare(Oracle(tmp_path, full), full, video("few.avi", 4, 120, 160, seed=5), tmp_path, None, gpus, batch=3)


def test_the_batch_size_changes_nothing(model, video, tmp_path, gpus):
    path = video("batches.avi", 70, 96, 128, seed=6)
    one, seven, all_at_once = (infer(model, path, tmp_path, batch=size, gpus=gpus) for size in (1, 7, 64))
    np.testing.assert_allclose(seven, one, atol=1e-4)
    np.testing.assert_allclose(all_at_once, one, atol=1e-4)
    assert np.abs(one[..., :2] - one[:1, :, :2]).max() > 1
