"""FacialSignal gives the traces of ROIs to other ROIs.

Needs element-facemap (see element_case.py); ends with an AssertionError where the fault is.
"""

from element_case import facial_signal, proc

result = proc(rois=2)
del result["motSv"]
found = {row["roi_no"]: row["motion"][0] for row in facial_signal(result).Region}

assert found == {0: 0.0, 1: 100.0, 2: 200.0}, f"the traces of regions 0, 1, 2 are 0, 100, 200; loaded are {found}"
