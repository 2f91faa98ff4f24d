"""Definitions of the tables of element-facemap 0.3.0's facemap_inference, in DataJoint 2 core types.

Names, keys and meanings are the Element's, as in :mod:`fmdj_cloud.pipeline.element_tables`.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import datajoint as dj
import pandas as pd

from fmdj_cloud.pipeline.element import Element
from fmdj_cloud.pipeline.element_tables import table_class
from fmdj_cloud.pipeline.populate import InferenceRunner, makers
from fmdj_cloud.pipeline.trajectory import get_trajectory

BODY_PARTS = (
    "eye(back)",
    "eye(bottom)",
    "eye(front)",
    "eye(top)",
    "lowerlip",
    "mouth",
    "nose(bottom)",
    "nose(r)",
    "nose(tip)",
    "nose(top)",
    "nosebridge",
    "paw",
    "whisker(I)",
    "whisker(III)",
    "whisker(II)",
)
"""What Facemap's own models find: the contents that the Element gives BodyPart."""

BODY_PART = """
# A point of the face that models find
body_part                : varchar(32)
---
body_part_description='' : varchar(1000)  # for people
"""
FACEMAP_MODEL = """
# A trained model for pose inference
model_id             : int32          # number of the model
---
model_name           : varchar(64)    # for people
model_description='' : varchar(1000)  # for people
"""
MODEL_BODY_PART = """
# What a model finds
-> master
-> BodyPart
"""
MODEL_FILE = """
# The file of a model
-> master
---
model_file : <attach>  # weights, as torch saves them
"""
FACEMAP_INFERENCE_TASK = """
# A recording paired with a model: what is wanted
-> VideoRecording
-> FacemapModel
---
facemap_inference_output_dir='' : varchar(255)             # where outputs lie, relative to the processed root
task_description=''             : varchar(128)             # for people
task_mode='load'                : enum('load', 'trigger')  # load existing outputs, or compute them
bbox=null                       : <blob>                   # part of the picture that is looked at; null for all of it
"""
FACEMAP_INFERENCE = """
# A model was applied to a recording, or outputs were found
-> FacemapInferenceTask
---
inference_completion_time : datetime  # when the results were made
inference_run_duration    : float32   # seconds
total_frame_count         : int32     # frames over all files
"""
BODY_PART_POSITION = """
# Where a body part is in every frame
-> master
-> FacemapModel.BodyPart
---
x_pos      : <blob>  # (nframes) pixels
y_pos      : <blob>  # (nframes) pixels
likelihood : <blob>  # (nframes) how sure the model is
"""


def inference_classes(element: Element, runner: InferenceRunner | None = None) -> dict[str, Any]:
    """Return fresh classes of all master tables by name, in the order in which they are declared.

    Parameters
    ----------
    element : Element
        Whose recordings the tasks are about.
    runner : InferenceRunner, optional
        Does the work of ``populate()``.
    """
    classes: dict[str, Any] = {}

    def trajectory_method(_cls: Any, key: Any, body_parts: str | Sequence[str] = "all") -> pd.DataFrame:
        """Return where body parts are in every frame: :func:`fmdj_cloud.pipeline.trajectory.get_trajectory`."""
        return get_trajectory(SimpleNamespace(**classes), key, body_parts)

    classes["BodyPart"] = table_class(
        "BodyPart",
        dj.Lookup,
        BODY_PART,
        "Points of the face.",
        contents=[{"body_part": name, "body_part_description": ""} for name in BODY_PARTS],
    )
    classes["FacemapModel"] = table_class(
        "FacemapModel",
        dj.Manual,
        FACEMAP_MODEL,
        "Trained models.",
        BodyPart=table_class("BodyPart", dj.Part, MODEL_BODY_PART, "What a model finds."),
        File=table_class("File", dj.Part, MODEL_FILE, "The file of a model."),
    )
    classes["FacemapInferenceTask"] = table_class(
        "FacemapInferenceTask", dj.Manual, FACEMAP_INFERENCE_TASK, "What is to be inferred, and with which model."
    )
    classes["FacemapInference"] = table_class(
        "FacemapInference",
        dj.Computed,
        FACEMAP_INFERENCE,
        "What was inferred.",
        key_source=property(lambda _self: classes["FacemapInferenceTask"] & element.VideoFile),
        BodyPartPosition=table_class("BodyPartPosition", dj.Part, BODY_PART_POSITION, "Where body parts are."),
        get_trajectory=classmethod(trajectory_method),
        **makers(runner, lambda does, key: does.infer(key)),
    )
    return classes
