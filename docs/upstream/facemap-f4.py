"""Running is noise: a surface that moves by two pixels a frame isn't seen.

Needs facemap; `python facemap-f4.py` ends with an AssertionError where the fault is.
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


texture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8), (0, 0), 1.5)
texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
frames = np.stack([np.roll(texture, 2 * k, axis=1) for k in range(300)])
rois = [roi(3, 0, (0, 64), (0, 64))]
path = process.run([[write(folder / "belt.avi", frames)]], motSVD=False, proc=options(rois, full_svd=False))
running = np.load(path, allow_pickle=True).item()["running"][0]

found = np.mean(np.abs(running[1:, 1]) == 2)
assert found > 0.9, f"the surface moves by 2 pixels from each frame to the next; {found:.0%} of them say so"
