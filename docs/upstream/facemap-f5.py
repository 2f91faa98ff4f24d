"""With fewer than 2,000 frames masks are scaled, and singular values are zero.

Needs facemap; `python facemap-f5.py` ends with an AssertionError where the fault is.
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


frames = np.random.default_rng(0).integers(50, 200, (150, 20, 24), dtype=np.uint8)
path = process.run([[write(folder / "short.avi", frames)]], sbin=1, motSVD=True, savepath=str(folder))
result = np.load(path, allow_pickle=True).item()

norms = np.linalg.norm(result["motMask"][0], axis=0)
assert np.allclose(norms, 1, rtol=1e-2), f"the norm of the first mask is {norms[0]:.0f}: its singular value"
assert np.any(result["motSv"]), "all singular values are 0"
