"""The first _proc.npy of a folder may be somebody's ROI file.

Needs element-facemap (see element_case.py); ends with an AssertionError where the fault is.
"""

from element_case import processing

try:
    processing(files=("video.avi",), present=("another_proc.npy",))
    refused = False
except (OSError, ValueError, StopIteration):
    refused = True

assert refused, "there is no result of video.avi, and that of another video is taken for it"
