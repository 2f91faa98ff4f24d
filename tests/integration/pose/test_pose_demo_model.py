"""The demo's network, trained in seconds, finds the parts of faces that it has never seen."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.contracts import BBox
from fmdj_cloud.demo.pose_model import keypoints, train
from fmdj_cloud.demo.recordings import RecordingSpec, generate
from fmdj_cloud.worker.pose.model import facemap_parts, read_model
from tests.support.pose.inference import infer

pytestmark = pytest.mark.integration

FOUND = ("nose(tip)", "eye(front)", "eye(back)")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return read_model(train(tmp_path_factory.mktemp("trained") / "demo.pt", budget_s=300), facemap_parts())


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    spec = RecordingSpec(name="unseen", width=320, height=240, nframes=(16,), views=2, seed=7)
    return generate(spec, tmp_path_factory.mktemp("unseen"))


@pytest.mark.parametrize("view", [0, 1])
@pytest.mark.parametrize("bbox", [None, BBox(y0=10, y1=225, x0=8, x1=308)], ids=["whole", "box"])
def test_nose_tip_and_eye_corners_are_found(trained, recording, tmp_path, view, bbox):
    points = infer(trained, recording.videos[0][view], tmp_path, bbox=bbox)
    truth = keypoints(240, 320, mirrored=view == 1)
    errors = np.stack([np.hypot(*(points[:, trained.body_parts.index(part), :2] - truth[part]).T) for part in FOUND])
    assert np.median(errors) < 5
    assert points[..., 2].mean() > 0.9
