"""What the demo inserts: a lab's tables, a model, and recordings with their tasks."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import Kind
from fmdj_cloud.demo.existing import run_facemap
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.demo.pose_model import train
from fmdj_cloud.demo.recordings import Recording
from fmdj_cloud.demo.scenarios import SBIN, Scenario
from fmdj_cloud.pipeline.attachments import Attachment
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, declare_element
from fmdj_cloud.pipeline.inference import Inference, declare_inference
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.pipeline.models import add_model
from fmdj_cloud.settings import PipelineSettings
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.uri import join

LAB_SCHEMA = "demo_lab"
_SUBJECT = "m1"
_CAMERA = "camera"
_MODEL_ID = 1
_TRAINING_S = 300.0
"""A laptop that isn't busy needs a tenth of it; cut short, the network would find less."""


@dataclass(frozen=True)
class Entry:
    """One recording of the demo with its task."""

    scenario: Scenario
    recording: Recording
    key: dict[str, Any]


def place_of(recording: Recording) -> str:
    """Return a recording's folder, below the video root and the processed root alike."""
    return f"{_SUBJECT}/session1/{recording.spec.name}"


class Bench:
    """The lab's tables, and what is needed to put a recording into them.

    Parameters
    ----------
    database : Database
    store : Store
    pipeline : PipelineSettings
        Whose schemas are declared; it has one for pose inference, and two video roots: a bucket and a shared folder.

    Attributes
    ----------
    element : Element
    inference : Inference
    """

    def __init__(self, database: Database, store: Store, pipeline: PipelineSettings) -> None:
        lab = declare_lab(database, LAB_SCHEMA)
        lab.Subject.insert1({"subject": _SUBJECT}, skip_duplicates=True)
        lab.Session.insert1(
            {"subject": _SUBJECT, "session_id": 1, "session_datetime": dt.datetime(2026, 1, 15, 10, 30)},
            skip_duplicates=True,
        )
        lab.Device.insert1({"device": _CAMERA}, skip_duplicates=True)
        self._store = store
        self._pipeline = pipeline
        self.element: Element = declare_element(
            database, pipeline.behavior_schema, linking_module=lab, projections=pipeline.projections
        )
        self.inference: Inference = declare_inference(database, str(pipeline.inference_schema), element=self.element)

    def add_model(self, folder: Path) -> None:
        """Train a small network and insert it with its file attached, as a lab inserts its own."""
        weights = train(folder / "small.pt", budget_s=_TRAINING_S)
        file = Attachment(weights.name, weights.read_bytes())
        add_model(
            self.inference,
            _MODEL_ID,
            weights.stem,
            file,
            body_parts=BODY_PARTS,
            description="trained by the demo on generated faces",
        )

    def add_recording(self, recording: Recording, recording_id: int, *, shared: bool = False) -> dict[str, Any]:
        """Upload a recording's videos and insert its rows: the recording and its files. Return its key.

        Parameters
        ----------
        recording : Recording
        recording_id : int
        shared : bool
            Whether the videos lie in the shared folder, not in the bucket.
        """
        key: dict[str, Any] = {"subject": _SUBJECT, "session_id": 1, "recording_id": recording_id}
        self.element.VideoRecording.insert1({**key, "device": _CAMERA})
        root = self._pipeline.video_roots[1 if shared else 0]
        videos = [video for row in recording.videos for video in row]
        for file_id, video in enumerate(videos):
            path = f"{place_of(recording)}/{video.name}"
            self._store.upload(video, join(root, path))
            self.element.VideoFile.insert1({**key, "file_id": file_id, "file_path": path})
        return key

    def add(self, scenario: Scenario, recording_id: int, folder: Path) -> Entry:
        """Generate a recording, upload its videos, and insert its rows: recording, files, task."""
        recording = scenario.make(folder)
        key = self.add_recording(recording, recording_id, shared=scenario.shared)
        output_dir = ""
        if scenario.imported:
            output_dir = f"{place_of(recording)}/facemap"
            existing = run_facemap(recording.videos[0][0], folder, sbin=SBIN)
            self._store.upload(existing, join(self._pipeline.processed_root, f"{output_dir}/{existing.name}"))
        task = self._insert_task(scenario, recording, key, output_dir)
        return Entry(scenario, recording, task)

    def _insert_task(
        self, scenario: Scenario, recording: Recording, key: dict[str, Any], output_dir: str
    ) -> dict[str, Any]:
        common = {
            "task_mode": "load" if scenario.imported else "trigger",
            "task_description": scenario.story[:128],
        }
        if scenario.kind is Kind.POSE:
            task = {**key, "model_id": _MODEL_ID}
            self.inference.FacemapInferenceTask.insert1({**task, **common, "bbox": scenario.params(recording)})
            return task
        task = {**key, "facemap_task_id": 0}
        self.element.FacemapTask.insert1(
            {
                **task,
                **common,
                "facemap_output_dir": output_dir,
                "facemap_params": scenario.params(recording),
                "do_mot_svd": scenario.mot_svd,
                "do_mov_svd": scenario.mov_svd,
            }
        )
        return task
