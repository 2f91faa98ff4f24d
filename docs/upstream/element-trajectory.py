"""get_trajectory ignores subject and model.

Needs element-facemap (see element_case.py); ends with an AssertionError where the fault is.
"""

import types

import numpy as np
from element_case import Table
from element_facemap import facemap_inference

key = {"subject": "m2", "session_id": 1, "recording_id": 1, "model_id": 7}
facemap_inference.FacemapModel = Table(model_name="model")
rows = Table(x_pos=np.zeros(3), y_pos=np.zeros(3), likelihood=np.zeros(3))
table = types.SimpleNamespace(BodyPartPosition=rows)
facemap_inference.FacemapInference.get_trajectory.__func__(table, key, ["paw"])
named = {name for condition in rows.asked for name in condition}

assert set(key) <= named, f"the rows are restricted by {sorted(named)} only"
