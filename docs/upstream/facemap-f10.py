"""The blink trace is smoothed, and the smoothed trace thrown away.

Needs facemap; `python facemap-f10.py` ends with an AssertionError where the fault is.
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


# Dark, but for one bright frame: smoothing, with a median over many frames, takes it away.
frames = np.full((300, 48, 64), 20, np.uint8)
frames[150] = 250
rois = [roi(2, 0, (8, 40), (8, 56), saturation=200.0)]
path = process.run([[write(folder / "flash.avi", frames)]], motSVD=False, proc=options(rois, full_svd=False))
blink = np.load(path, allow_pickle=True).item()["blink"][0]

assert blink[150] > 0.5 * blink[140], f"blink is {blink[140]:.0f}, and {blink[150]:.0f} in one frame: it isn't smoothed"
