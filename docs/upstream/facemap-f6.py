"""Singular values are those of the last ROI only.

Needs facemap; `python facemap-f6.py` ends with an AssertionError where the fault is.
"""

import tempfile
from pathlib import Path

import cv2
import numpy as np
from facemap import process

folder = Path(tempfile.mkdtemp())


def write(path, frames):
    """Write gray frames, (n, height, width) uint8, as Motion JPEG."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, frames.shape[:0:-1])
    for frame in frames:
        video.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    video.release()
    return str(path)


def roi(kind, number, y, x, **more):
    """Return a ROI as the GUI saves it: kind 0 pupil, 1 motion SVD, 2 blink, 3 running; y and x are ranges."""
    names = ("Pupil", "motion SVD", "Blink", "Running")
    return {
        "rind": kind,
        "rtype": names[kind],
        "iROI": number,
        "ivid": 0,
        "color": (0, 0, 0),
        "yrange": np.arange(*y),
        "xrange": np.arange(*x),
        "saturation": 255.0,
        "pupil_sigma": 2,
        "ellipse": np.ones((y[1] - y[0], x[1] - x[0]), bool),
        "reflector": [],
        **more,
    }


def options(rois, full_svd):
    """Return the argument `proc` of `process.run`."""
    proc = {"sbin": 1, "fullSVD": full_svd, "save_mat": False, "rois": rois, "sy": np.array([0]), "sx": np.array([0])}
    return {**proc, "savepath": str(folder)}


frames = np.random.default_rng(0).integers(50, 200, (2000, 16, 20), dtype=np.uint8)
rois = [roi(1, 0, (1, 13), (1, 17)), roi(1, 1, (2, 8), (4, 12))]
path = process.run([[write(folder / "long.avi", frames)]], motSVD=True, proc=options(rois, full_svd=True))
result = np.load(path, allow_pickle=True).item()

wanted = [projections.shape[1] for projections in result["motSVD"]]
assert len(result["motSv"]) == sum(wanted) or len(result["motSv"]) == len(wanted), (
    f"the three regions have {wanted} components, and there are {len(result['motSv'])} singular values: the last one's"
)
