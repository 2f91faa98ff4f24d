"""FacialSignal cannot load components of Facemap 1.0.8, or loads them along the wrong axis.

Needs element-facemap (see element_case.py); ends with an AssertionError where the fault is.
"""

from element_case import FRAMES, facial_signal, proc

result = proc()
try:
    facial_signal(result)
    refused = ""
except TypeError as error:
    refused = str(error)
del result["motSv"]
shapes = {row["projection"].shape for row in facial_signal(result).MotionSVD}

assert shapes == {(FRAMES,)}, f"a projection of {FRAMES} frames has the shape {shapes}"
assert not refused, f"with motSv: {refused}"
