"""The whole path where a lab has a shared folder and MariaDB, no object store, and wants Facemap itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import BindingState, FailureClass, Kind, RunState
from fmdj_cloud.control.launchers.local import LocalLauncher
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.demo.recordings import RecordingSpec, generate
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, declare_element
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import DatabaseSettings, PipelineSettings, Settings
from fmdj_cloud.storage import open_store

pytestmark = pytest.mark.integration

SESSION = {"subject": "m1", "session_id": 1}


@dataclass
class Shared:
    """The lab with its share."""

    share: Path
    settings: Settings
    database: Database
    element: Element

    def add_task(self, recording_id: int, file_path: str) -> dict[str, Any]:
        key = {**SESSION, "recording_id": recording_id}
        self.element.VideoRecording.insert1({**key, "device": "camera"})
        self.element.VideoFile.insert1({**key, "file_id": 0, "file_path": file_path})
        task = {**key, "facemap_task_id": 0}
        self.element.FacemapTask.insert1({**task, "task_mode": "trigger", "facemap_params": {"sbin": 4}})
        return task


@pytest.fixture(scope="module")
def shared(mariadb_settings: DatabaseSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """A lab with one task that can be computed and one whose video is a link that leads out of the share."""
    folder = tmp_path_factory.mktemp("shared")
    share = folder / "lab share"
    for name in ("raw/m1", "processed"):
        (share / name).mkdir(parents=True)
    for name in ("scratch", "load", "state"):
        (folder / name).mkdir()
    settings = Settings(
        database=mariadb_settings.model_copy(update={"prefix": "share_"}),
        pipelines=(
            PipelineSettings(
                name="lab",
                behavior_schema="share_behavior",
                video_roots=(f"file://{share}/raw",),
                processed_root=f"file://{share}/processed",
            ),
        ),
        controller={"engine": "facemap"},
        local={"state_dir": folder / "state"},
        worker={"scratch_dir": folder / "scratch"},
        load={"workdir": folder / "load"},
    )
    database = Database(settings.database)
    lab = declare_lab(database, "share_lab")
    lab.Subject.insert1({"subject": "m1"})
    lab.Session.insert1({**SESSION, "session_datetime": dt.datetime(2026, 1, 15)})
    lab.Device.insert1({"device": "camera"})
    made = Shared(share, settings, database, declare_element(database, "share_behavior", linking_module=lab))
    recording = generate(RecordingSpec("face", width=160, height=120, nframes=(300,)), folder / "scratch")
    ((video,),) = recording.videos
    (share / "raw" / "m1" / "face.avi").write_bytes(video.read_bytes())
    (share / "raw" / "m1" / "outside.avi").symlink_to(video)
    made.add_task(1, str(share / "raw" / "m1" / "face.avi"))
    made.add_task(2, "m1/outside.avi")
    store = open_store(settings.storage)
    Controller(settings, Database(settings.database), store, LocalLauncher(settings)).drain()
    Loader(settings, Database(settings.database), store).run_pass()
    yield made
    database.close()


def test_a_task_is_computed_and_loaded_from_folder_to_folder(shared: Shared) -> None:
    (run,) = Ledger(shared.database).runs()

    assert (run.state, run.sentence) == (RunState.LOADED, "")
    (motion,) = (shared.element.Region & {"recording_id": 1}).to_arrays("motion")
    assert motion.shape == (300,)
    assert np.std(motion) > 0
    assert len(shared.element.MotionSVD & {"recording_id": 1}) > 0


def test_outputs_lie_on_the_share_under_the_names_that_the_database_says(shared: Shared) -> None:
    (output_dir,) = (shared.element.FacemapTask & {"recording_id": 1}).to_arrays("facemap_output_dir")

    assert list((shared.share / "processed" / output_dir).glob("*_proc.npy"))
    assert len(list((shared.share / "processed").rglob("a1/manifest.json"))) == 1
    assert list((shared.share / "processed").rglob(".fmdj-*")) == []


def test_a_video_that_is_a_link_out_of_the_share_is_refused_by_name(shared: Shared) -> None:
    ledger = Ledger(shared.database)
    ledger.attach("lab", Kind.SVD, shared.element.FacemapTask)

    (binding,) = ledger.bindings("lab", Kind.SVD, states=[BindingState.REFUSED])

    assert binding.key["recording_id"] == 2
    assert binding.failure_class is FailureClass.INPUT
    assert "outside.avi is reached through a link that leads out of" in binding.sentence
