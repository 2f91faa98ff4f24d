"""With movie SVD alone, the movie basis is never merged.

Needs facemap; `python facemap-f11.py` ends with an AssertionError where the fault is.
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


def options(rois, full_svd):
    """Return the argument `proc` of `process.run`."""
    proc = {"sbin": 1, "fullSVD": full_svd, "save_mat": False, "rois": rois, "sy": np.array([0]), "sx": np.array([0])}
    return {**proc, "savepath": str(folder)}


frames = np.random.default_rng(0).integers(50, 200, (2000, 12, 16), dtype=np.uint8)
video = write(folder / "movie.avi", frames)
path = process.run([[video]], motSVD=False, movSVD=True, proc=options(None, full_svd=True))
masks = np.load(path, allow_pickle=True).item()["movMask"][0]

norm = np.linalg.norm(masks[:, 0])
assert abs(norm - 1) < 1e-2, f"{masks.shape[1]} masks, the first one of norm {norm:.0f}: chunks put side by side"
