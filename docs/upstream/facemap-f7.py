"""A video that was cut off is processed to the end, with black frames.

Needs facemap; `python facemap-f7.py` ends with an AssertionError where the fault is.
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


frames = np.random.default_rng(0).integers(50, 200, (300, 24, 32), dtype=np.uint8)
video = write(folder / "cut.avi", frames)
Path(video).write_bytes(Path(video).read_bytes()[: Path(video).stat().st_size // 2])
capture, decodable = cv2.VideoCapture(video), 0
while capture.read()[0]:
    decodable += 1

path = process.run([[video]], sbin=1, motSVD=True, savepath=str(folder))
motion = np.load(path, allow_pickle=True).item()["motion"][0]
assert len(motion) == decodable, (
    f"{decodable} frames can be decoded, and there is a motion for {len(motion)}; the last ones are {motion[-3:]}"
)
