"""inference_run_duration is frames times frames per second.

Needs element-facemap (see element_case.py); ends with an AssertionError where the fault is.
"""

import pickle
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
from element_facemap import facemap_inference

utils = types.ModuleType("facemap.utils")
utils.load_keypoints = lambda parts, _path: np.zeros((3, len(parts), 6000))
package = types.ModuleType("facemap")
package.utils = utils
sys.modules |= {"facemap": package, "facemap.utils": utils}
path = Path(tempfile.mkdtemp()) / "video_FacemapPose_metadata.pkl"
path.write_bytes(pickle.dumps({"bodyparts": ["paw"], "total_frames": 6000, "inference_speed": 20.0}))
_, seconds, _, _ = facemap_inference._load_facemap_results({}, path, path)

assert seconds == 300, f"6,000 frames at 20 frames a second take 300 s; stored are {seconds:.0f}"
