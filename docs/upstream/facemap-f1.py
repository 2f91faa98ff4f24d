"""Motion energy is one frame early in the first 500 frames.

Needs facemap; `python facemap-f1.py` ends with an AssertionError where the fault is.
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


# Noise, a little; the picture becomes brighter at frame 100 and darker at frame 550.
frames = np.random.default_rng(0).integers(90, 100, (600, 20, 24), dtype=np.uint8)
frames[100:550] += 80
path = process.run([[write(folder / "jumps.avi", frames)]], sbin=1, motSVD=True, savepath=str(folder))
motion = np.load(path, allow_pickle=True).item()["motion"][0]

assert motion[500:].argmax() + 500 == 550, "beyond the first 500 frames, motion[k] is |frame k - frame k-1|"
assert motion[:500].argmax() == 100, f"motion[{motion[:500].argmax()}] holds what changed from frame 99 to frame 100"
