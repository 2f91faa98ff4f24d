"""RecordingInfo keeps whole frames per second, and adds the frames of videos that were recorded at the same time.

Needs element-facemap (see element_case.py); ends with an AssertionError where the fault is.
"""

import tempfile
from pathlib import Path

import cv2
import numpy as np
from element_case import Table
from element_facemap import facial_behavior_estimation as fbe

folder = Path(tempfile.mkdtemp())
views = ["left.avi", "right.avi"]
for name in views:
    writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter_fourcc(*"MJPG"), 29.97, (64, 48))
    for _ in range(300):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
fbe.VideoRecording = Table()
fbe.VideoRecording.File = Table(file_path=views)
fbe.find_full_path = lambda _roots, path: folder / path
fbe.get_facemap_root_data_dir = lambda: [folder]
made = Table()
fbe.RecordingInfo.make(made, {})
(row,) = made

found = f"{row['nframes']} frames, {row['fps']} a second, {row['recording_duration']:.2f} s"
assert (row["nframes"], round(row["fps"], 2)) == (300, 29.97), f"two views of 300 frames at 29.97 a second: {found}"
