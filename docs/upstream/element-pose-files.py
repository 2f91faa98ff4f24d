"""Pose inference of a recording with several files keeps the first file only.

Needs element-facemap (see element_case.py); ends with an AssertionError where the fault is.
"""

from element_case import inference

calls, read = inference(files=("first.avi", "second.avi"))

assert len(calls[0]["filenames"]) == 2 or len(calls) == 2, (
    f"two files in sequence are given to Facemap as {len(calls[0]['filenames'][0])} simultaneous views; read is {read}"
)
assert len(read) == 2, f"of two files, {read} is read"
