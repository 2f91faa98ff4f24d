"""Poses of a second simultaneous view are those of its first frame, in every row.

Needs facemap; `python facemap-pose-views.py` ends with an AssertionError where the fault is. The network has random
weights: what it finds means nothing, but differs from frame to frame.
"""

import os
import tempfile
from pathlib import Path

import cv2
import h5py
import numpy as np
import torch

folder = Path(tempfile.mkdtemp())
os.environ["HOME"] = str(folder)

from facemap.pose.facemap_network import FMnet  # noqa: E402
from facemap.utils import BODYPARTS  # noqa: E402

channels = [8, 8, 12, 16, 16]
torch.manual_seed(0)
net = FMnet(
    img_ch=1,
    output_ch=len(BODYPARTS),
    labels_id=list(BODYPARTS),
    channels=channels,
    kernel=3,
    device=torch.device("cpu"),
)
net.Conv2_1x1[0].weight.data.normal_(0, 0.3)
models = folder / ".facemap" / "models"
models.mkdir(parents=True)
torch.save(net.state_dict(), models / "facemap_model_state.pt")
torch.save({"params": {"channels": channels}}, models / "facemap_model_params.pth")

from facemap.pose.pose import Pose  # noqa: E402


def write(name):
    """Write five frames of coarse noise, each another one."""
    path = str(folder / name)
    video = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 30, (256, 256))
    for seed in range(5):
        noise = np.random.default_rng(seed).integers(0, 255, (32, 32), dtype=np.uint8)
        video.write(cv2.cvtColor(cv2.resize(noise, (256, 256)), cv2.COLOR_GRAY2BGR))
    video.release()
    return path


Pose([[write("left.avi"), write("right.avi")]], bbox=[]).run()
spread = {}
for view in ("left", "right"):
    with h5py.File(folder / f"{view}_FacemapPose.h5") as file:
        spread[view] = max(float(np.ptp(file["Facemap"][part]["x"][()])) for part in BODYPARTS)

assert spread["left"] > 0, "the first view's keypoints move"
assert spread["right"] > 0, "the videos are the same, and keypoints of the second view never move"
