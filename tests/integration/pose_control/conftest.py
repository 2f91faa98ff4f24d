"""A lab with models and tasks of pose inference, on every kind of database, and the programs that serve it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.contracts import BindingRecord, Kind, RunRecord, TaskRecord
from fmdj_cloud.control.launchers.local import LocalLauncher
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.control.models import models_of
from fmdj_cloud.control.places import PlannedRun
from fmdj_cloud.control.plan import plan_task
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.load.results import LoadResult
from fmdj_cloud.pipeline.attachments import Attachment
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.pipeline.inference import Inference, declare_inference
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.models import add_model
from fmdj_cloud.settings import DatabaseSettings, PipelineSettings, S3Settings, Settings
from fmdj_cloud.storage import Store

PIPELINE = "lab"
RECORDING = {"subject": "m1", "session_id": 1, "recording_id": 5}


@dataclass
class World:
    """The lab and its programs."""

    settings: Settings
    ledger: Ledger
    lab: Lab
    store: Store
    bucket: str
    others: list[Database] = field(default_factory=list)

    @property
    def inference(self) -> Inference:
        assert self.lab.inference is not None
        return self.lab.inference

    @property
    def pipeline(self) -> PipelineSettings:
        return self.settings.pipelines[0]

    def upload(self, source: Path | bytes, place: str) -> str:
        """Put a file into the bucket; return its URI."""
        uri = f"{self.bucket}/{place}"
        if isinstance(source, bytes):
            self.store.put_bytes(uri, source)
        else:
            self.store.upload(source, uri)
        return uri

    def add_model(self, weights: bytes, number: int = 7, *, parts: tuple[str, ...] = BODY_PARTS) -> None:
        add_model(self.inference, number, "net", Attachment("net.pt", weights), body_parts=parts)

    def insert_recording(self, *paths: str) -> dict[str, Any]:
        """Insert a recording with its videos, once; return its key."""
        element = self.lab.element
        if not element.VideoRecording & RECORDING:
            element.VideoRecording.insert1({**RECORDING, "device": "camera"})
            element.VideoFile.insert(
                {**RECORDING, "file_id": number, "file_path": path} for number, path in enumerate(paths)
            )
        return RECORDING

    def insert_task(self, *paths: str, model: int = 7, **changes: Any) -> dict[str, Any]:
        """Insert a recording with its videos, and a task; return the task's key."""
        key = {**self.insert_recording(*paths), "model_id": model}
        self.inference.FacemapInferenceTask.insert1(key | {"task_mode": "trigger"} | changes)
        return key

    def task(self, key: dict[str, Any]) -> TaskRecord:
        task = self.lab.tasks(Kind.POSE).get(key)
        assert task is not None
        return task

    def plan(self, key: dict[str, Any], *, export: bool = True) -> PlannedRun:
        models = models_of(self.lab, self.store, export=export)
        return plan_task(self.task(key), self.pipeline, self.store, self.settings, models=models)

    def settle(self) -> None:
        """Let a controller do all there is to do."""
        leader = self.ledger.leader()
        if leader is not None:
            self.ledger.resign(leader[0], leader[1])
        database = Database(self.settings.database)
        self.others.append(database)
        assert Controller(self.settings, database, self.store, LocalLauncher(self.settings)).drain(timeout=120)

    def load(self) -> list[LoadResult]:
        database = Database(self.settings.database)
        self.others.append(database)
        return Loader(self.settings, database, self.store).run_pass()

    def binding(self, key: dict[str, Any]) -> BindingRecord:
        found = self.ledger.binding(PIPELINE, Kind.POSE, key)
        assert found is not None
        return found

    def run(self, key: dict[str, Any]) -> RunRecord:
        run = self.ledger.run(str(self.binding(key).run_id))
        assert run is not None
        return run


@pytest.fixture
def world(
    database_settings: DatabaseSettings, s3_settings: S3Settings, store: Store, bucket: str, tmp_path: Path
) -> Iterator[World]:
    prefix = database_settings.prefix
    settings = Settings(
        database=database_settings,
        storage={"s3": s3_settings},
        pipelines=(
            PipelineSettings(
                name=PIPELINE,
                behavior_schema=f"{prefix}behavior",
                inference_schema=f"{prefix}inference",
                video_roots=(f"{bucket}/raw",),
                processed_root=f"{bucket}/processed",
            ),
        ),
        controller={"inputs_look_s": 0.2, "inputs_look_max_s": 0.2, "interval_s": 0.1},
        local={"state_dir": tmp_path / "state", "stop_grace_s": 1},
        worker={"scratch_dir": tmp_path / "scratch"},
        load={"workdir": tmp_path / "load"},
    )
    database = Database(database_settings)
    tables = declare_lab(database, f"{prefix}lab")
    tables.Subject.insert1({"subject": "m1"})
    tables.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": dt.datetime(2026, 1, 15)})
    tables.Device.insert1({"device": "camera"})
    element = declare_element(database, f"{prefix}behavior", linking_module=tables)
    declare_inference(database, f"{prefix}inference", element=element)
    ledger = Ledger(database)
    found = World(settings, ledger, open_lab(database, ledger, settings.pipelines[0]), store, bucket)
    yield found
    for connection in (database, *found.others):
        connection.close()
