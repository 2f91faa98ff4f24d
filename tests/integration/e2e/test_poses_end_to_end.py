"""Poses by the whole path, from folder to folder: computed by the real worker, then imported from what it wrote."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import Kind, RunRecord, RunState
from fmdj_cloud.control.launchers.local import LocalLauncher
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.pipeline.attachments import Attachment
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.pipeline.inference import Inference, declare_inference
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.models import add_model
from fmdj_cloud.settings import DatabaseSettings, PipelineSettings, Settings
from fmdj_cloud.storage import open_store
from fmdj_cloud.worker.pose.model import facemap_parts, read_model
from tests.support.pose import models, videos
from tests.support.pose.inference import infer

pytestmark = pytest.mark.integration

RECORDING = {"subject": "m1", "session_id": 1, "recording_id": 1}
COMPUTED, IMPORTED = {**RECORDING, "model_id": 1}, {**RECORDING, "model_id": 2}
FRAMES = (12, 8)


@dataclass
class Share:
    """A lab's share, its tables, and what became of both tasks."""

    folder: Path
    inference: Inference
    videos: tuple[Path, ...]
    weights: Path
    runs: dict[Kind, RunRecord]

    def row(self, key: dict[str, Any]) -> dict[str, Any]:
        (row,) = (self.inference.FacemapInference & key).to_dicts()
        return row


@pytest.fixture(scope="module")
def share(mariadb_settings: DatabaseSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Share]:
    folder = tmp_path_factory.mktemp("poses")
    for name in ("raw", "processed", "scratch", "load", "state"):
        (folder / name).mkdir()
    settings = Settings(
        database=mariadb_settings.model_copy(update={"prefix": "poses_"}),
        pipelines=(
            PipelineSettings(
                name="lab",
                behavior_schema="poses_behavior",
                inference_schema="poses_inference",
                video_roots=(f"file://{folder}/raw",),
                processed_root=f"file://{folder}/processed",
            ),
        ),
        local={"state_dir": folder / "state"},
        worker={"scratch_dir": folder / "scratch", "threads": 1},
        load={"workdir": folder / "load"},
    )
    database = Database(settings.database)
    lab = declare_lab(database, "poses_lab")
    lab.Subject.insert1({"subject": "m1"})
    lab.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": dt.datetime(2026, 1, 15)})
    lab.Device.insert1({"device": "camera"})
    element = declare_element(database, "poses_behavior", linking_module=lab)
    inference = declare_inference(database, "poses_inference", element=element)
    element.VideoRecording.insert1({**RECORDING, "device": "camera"})
    files = []
    for number, frames in enumerate(FRAMES):
        files.append(videos.write(folder / "raw" / f"part{number}.avi", videos.pictures(frames, 96, 128, number)))
        element.VideoFile.insert1({**RECORDING, "file_id": number, "file_path": f"part{number}.avi"})
    weights = models.save(folder / "small.pt")
    for model in (COMPUTED, IMPORTED):
        name = f"model{model['model_id']}"
        add_model(
            inference, model["model_id"], name, Attachment("small.pt", weights.read_bytes()), body_parts=BODY_PARTS
        )
    store, launcher = open_store(settings.storage), LocalLauncher(settings)

    def process(task: dict[str, Any]) -> None:
        inference.FacemapInferenceTask.insert1(task)
        Controller(settings, Database(settings.database), store, launcher).drain()
        Loader(settings, Database(settings.database), store).run_pass()

    process({**COMPUTED, "task_mode": "trigger"})
    (output_dir,) = (inference.FacemapInferenceTask & COMPUTED).to_arrays(inference.output_dir)
    process({**IMPORTED, "task_mode": "load", inference.output_dir: str(output_dir)})
    runs = {run.kind: run for run in Ledger(database).runs()}
    yield Share(folder, inference, tuple(files), weights, runs)
    database.close()


def test_both_tasks_are_loaded(share: Share) -> None:
    assert {kind: (run.state, run.sentence) for kind, run in share.runs.items()} == {
        Kind.POSE: (RunState.LOADED, ""),
        Kind.IMPORT: (RunState.LOADED, ""),
    }


def test_points_of_sequential_files_are_those_of_the_network_one_after_the_other(share: Share, tmp_path: Path) -> None:
    table = share.inference.FacemapInference.get_trajectory(COMPUTED)
    model = read_model(share.weights, facemap_parts())
    whole = np.concatenate([infer(model, video, tmp_path / video.stem) for video in share.videos])
    for number, part in enumerate(model.body_parts):
        np.testing.assert_allclose(table["model1"][part].to_numpy(), whole[:, number], atol=1e-3)
    row = share.row(COMPUTED)
    assert row["total_frame_count"] == sum(FRAMES)
    assert 0 < row["inference_run_duration"] < 60


def test_an_import_holds_what_was_computed_where_it_lies(share: Share) -> None:
    get_trajectory = share.inference.FacemapInference.get_trajectory
    computed, imported = get_trajectory(COMPUTED)["model1"], get_trajectory(IMPORTED)["model2"]
    np.testing.assert_array_equal(imported.to_numpy(), computed.to_numpy())
    assert share.row(IMPORTED)["inference_run_duration"] > 0  # as the files tell
    tasks = share.inference.FacemapInferenceTask
    (computed_dir,), (imported_dir,) = (
        (tasks & key).to_arrays(share.inference.output_dir) for key in (COMPUTED, IMPORTED)
    )
    assert imported_dir == computed_dir
    assert computed_dir.startswith("facemap_recordingid1_model1/pose-")
    found = {path.name for path in (share.folder / "processed" / computed_dir).iterdir()}
    assert found == {f"part{n}_FacemapPose{end}" for n in (0, 1) for end in (".h5", "_metadata.pkl")}
