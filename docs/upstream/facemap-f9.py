"""An unreadable second video makes Facemap loop for ever.

Needs facemap; `python facemap-f9.py` ends with an AssertionError where the fault is.
"""

import signal
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


def late(*_):
    raise AssertionError("process.run has been busy with two small videos for 4 s: it never returns")


frames = np.random.default_rng(0).integers(50, 200, (120, 48, 64), dtype=np.uint8)
(folder / "unreadable.avi").write_bytes(b"not a video")
views = [write(folder / "good.avi", frames), str(folder / "unreadable.avi")]
signal.signal(signal.SIGALRM, late)
signal.alarm(4)
try:
    process.run([views], sbin=1, motSVD=True, savepath=str(folder))
except (OSError, ValueError) as error:
    print("As it should be:", error)
