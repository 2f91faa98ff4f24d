"""A bounding box as documented raises TypeError in Facemap.

Needs element-facemap (see element_case.py); ends with an AssertionError where the fault is.
"""

from element_case import inference

calls, _ = inference(files=("video.avi",), bbox=[10, 110, 20, 120])
box = calls[0]["bbox"]

assert box == [[20, 120, 10, 110]], f"Facemap takes [[y1, y2, x1, x2]], one for each view, and gets {box}"
