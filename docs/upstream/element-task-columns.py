"""do_mot_svd and do_mov_svd are never used, and a whole _proc.npy as facemap_params fails.

Needs element-facemap (see element_case.py); ends with an AssertionError where the fault is.
"""

from element_case import proc, processing

calls, _ = processing(do_mot_svd=0, do_mov_svd=1)
whole = {**proc(rois=1), "filenames": [["video.avi"]]}
try:
    given, _ = processing(facemap_params=whole)
    refused = ""
except TypeError as error:
    given, refused = [], str(error)

assert not refused, f"a _proc.npy as facemap_params: {refused}"
assert given[0]["proc"], "its ROIs are lost"
assert (calls[0]["motSVD"], calls[0]["movSVD"]) == (False, True), "do_mot_svd=0, do_mov_svd=1 changes nothing"
