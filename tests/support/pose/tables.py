"""The tables of pose inference beside an Element's, with a model, for tests whose lab has none."""

from __future__ import annotations

from typing import Any

from fmdj_cloud.pipeline.attachments import Attachment
from fmdj_cloud.pipeline.element import Element
from fmdj_cloud.pipeline.inference import Inference, declare_inference
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.pipeline.models import add_model

WEIGHTS = b"weights " * 100
FRAMES = 9
SESSION = {"subject": "m1", "session_id": 1}


def declare(element: Element, schema: str, model: int = 7) -> Inference:
    """Declare the tables where they aren't yet, and insert a model."""
    inference = declare_inference(element.database, schema, element=element)
    add_model(inference, model, "net", Attachment("net.pt", WEIGHTS), body_parts=BODY_PARTS)
    return inference


def insert_task(
    element: Element, inference: Inference, recording_id: int, path: str = "", *, model: int = 7, **columns: Any
) -> dict[str, Any]:
    """Insert a recording with one video, known to RecordingInfo, and a task for pose inference; return its key."""
    recording = {**SESSION, "recording_id": recording_id}
    if not element.VideoRecording & recording:
        element.VideoRecording.insert1({**recording, "device": "camera"})
    if path:
        element.VideoFile.insert1({**recording, "file_id": 0, "file_path": path})
        info = {"px_height": 40, "px_width": 60, "nframes": FRAMES, "fps": 30, "recording_duration": 0.3}
        element.RecordingInfo.insert1({**recording, **info}, allow_direct_insert=True)
    key = {**recording, "model_id": model}
    inference.FacemapInferenceTask.insert1({"task_mode": "trigger", **columns, **key})
    return key


def add_result(inference: Inference, key: dict[str, Any]) -> None:
    """Insert a result, as the loader or somebody else would."""
    row = {"inference_completion_time": "2026-01-31 12:00:00", "inference_run_duration": 1, "total_frame_count": FRAMES}
    inference.FacemapInference.insert1(key | row, allow_direct_insert=True)


def empty(inference: Inference) -> None:
    """Delete all rows but body parts."""
    results = (inference.BodyPartPosition, inference.FacemapInference, inference.FacemapInferenceTask)
    for table in (*results, inference.ModelFile, inference.ModelBodyPart, inference.FacemapModel):
        inference.database.execute(f"DELETE FROM {table.full_table_name}")
