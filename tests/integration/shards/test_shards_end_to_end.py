"""Sharded runs from task to rows: the real controller, local launcher, worker and loader."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import Engine, Kind, RunRecord, RunState, SvdParams
from fmdj_cloud.control.launchers.local import LocalLauncher
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.pipeline.attachments import Attachment
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.pipeline.inference import declare_inference
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.models import add_model
from fmdj_cloud.settings import DatabaseSettings, PipelineSettings, Settings
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.storage import open_store
from fmdj_cloud.worker.pose.model import read_model
from tests.support.pose import models, videos
from tests.support.pose.inference import infer

pytestmark = pytest.mark.integration
RECORDING = {"subject": "m1", "session_id": 1, "recording_id": 1}
CLIP = {**RECORDING, "recording_id": 2}
FRAMES = 70


@dataclass
class Share:
    """A lab whose two tasks went through the stages."""

    folder: Path
    settings: Settings
    runs: dict[Kind, RunRecord]
    element: Any
    inference: Any
    model: Path


@pytest.fixture(scope="module")
def share(postgres_settings: DatabaseSettings, tmp_path_factory, record) -> Iterator[Share]:
    folder = tmp_path_factory.mktemp("sharded")
    for name in ("raw", "processed", "scratch", "load", "state"):
        (folder / name).mkdir()
    settings = Settings(
        database=postgres_settings.model_copy(update={"prefix": "shards_"}),
        pipelines=(
            PipelineSettings(
                name="lab",
                behavior_schema="shards_behavior",
                inference_schema="shards_inference",
                video_roots=(f"file://{folder}/raw",),
                processed_root=f"file://{folder}/processed",
            ),
        ),
        local={"state_dir": folder / "state"},
        controller={"shards": 2},
        worker={"scratch_dir": folder / "scratch", "threads": 1},
        load={"workdir": folder / "load"},
    )
    database = Database(settings.database)
    lab = declare_lab(database, "shards_lab")
    lab.Subject.insert1({"subject": "m1"})
    lab.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": dt.datetime(2026, 1, 15)})
    lab.Device.insert1({"device": "camera"})
    element = declare_element(database, "shards_behavior", linking_module=lab)
    inference = declare_inference(database, "shards_inference", element=element)
    (folder / "raw" / "face.avi").write_bytes(record("face", (2300,)).videos[0][0].read_bytes())
    videos.write(folder / "raw" / "clip.avi", videos.pictures(FRAMES, 96, 128))
    for key, name in ((RECORDING, "face.avi"), (CLIP, "clip.avi")):
        element.VideoRecording.insert1({**key, "device": "camera"})
        element.VideoFile.insert1({**key, "file_id": 0, "file_path": name})
    task = {**RECORDING, "facemap_task_id": 0, "task_mode": "trigger", "facemap_params": {"sbin": 6}}
    element.FacemapTask.insert1(task)
    weights = models.save(folder / "small.pt")
    add_model(inference, 1, "small", Attachment("small.pt", weights.read_bytes()), body_parts=BODY_PARTS)
    inference.FacemapInferenceTask.insert1({**CLIP, "model_id": 1, "task_mode": "trigger"})
    ledger = Ledger(database)
    ledger.see_pipeline("lab", engine=Engine.TURBO, pending=0, limit=100)
    store = open_store(settings.storage)
    Controller(settings, Database(settings.database), store, LocalLauncher(settings)).drain()
    Loader(settings, Database(settings.database), store).run_pass()
    runs = {run.kind: run for run in ledger.runs()}
    yield Share(folder, settings, runs, element, inference, weights)
    database.close()


def files(share: Share, run: RunRecord, name: str) -> list[Path]:
    return sorted(Path(run.output_dir.removeprefix("file://")).rglob(name))


def test_both_tasks_went_through_all_stages_and_are_loaded(share: Share) -> None:
    assert {kind: (run.state, run.sentence, run.attempt) for kind, run in share.runs.items()} == {
        Kind.SVD: (RunState.LOADED, "", 1),
        Kind.POSE: (RunState.LOADED, "", 1),
    }
    assert len(files(share, share.runs[Kind.SVD], "a1/basis.json")) == 1
    for run in share.runs.values():
        assert [path.name for path in files(share, run, "a1/part-*.json")] == ["part-0.json", "part-1.json"]


def test_rows_hold_what_one_piece_would_have_yielded(share: Share, lab, face) -> None:
    spec = lab.spec(face.videos, svd=SvdParams(sbin=6))
    lab.do_all(spec)
    with SignalsReader(lab.output(spec, "signals.h5")) as reader:
        expected = reader.motion(0)
    (motion,) = (share.element.Region & RECORDING).to_arrays("motion")
    np.testing.assert_array_equal(motion, expected)


def test_points_are_those_of_the_network(share: Share, tmp_path: Path) -> None:
    table = share.inference.FacemapInference.get_trajectory({**CLIP, "model_id": 1})["small"]
    model = read_model(share.model, BODY_PARTS)
    whole = infer(model, share.folder / "raw" / "clip.avi", tmp_path / "points")
    for number, part in enumerate(model.body_parts):
        np.testing.assert_allclose(table[part].to_numpy(), whole[:, number], atol=1e-3)
