"""A lab whose tasks ask for outputs that exist: made by the real Facemap, imported by controller, worker and loader."""

from __future__ import annotations

import datetime as dt
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import BindingRecord, Kind, RunRecord
from fmdj_cloud.control.launchers.local import LocalLauncher
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.demo.recordings import Recording, RecordingSpec, generate
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.load.results import LoadResult
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import DatabaseSettings, PipelineSettings, S3Settings, Settings
from fmdj_cloud.storage import Store

PIPELINE = "lab"
SBIN = 4


@dataclass(frozen=True)
class Output:
    """What Facemap made of a recording."""

    recording: Recording
    path: Path

    @property
    def video(self) -> Path:
        return self.recording.videos[0][0]

    def proc(self) -> dict[str, Any]:
        return np.load(self.path, allow_pickle=True).item()


def facemap(recording: Recording, folder: Path, rois: tuple[str, ...], *, full_svd: bool, mov_svd: bool) -> Output:
    """Run Facemap as a lab does."""
    from facemap import process
    from facemap.utils import video_placement

    heights, widths = np.array([recording.spec.height]), np.array([recording.spec.width])
    _, _, sy, sx = video_placement(heights, widths)
    written = process.run(
        [[str(path) for path in row] for row in recording.videos],
        motSVD=True,
        movSVD=mov_svd,
        savepath=str(folder),
        proc={
            "sbin": SBIN,
            "fullSVD": full_svd,
            "save_mat": False,
            "rois": recording.rois(*rois) or None,
            "sy": sy,
            "sx": sx,
        },
    )
    return Output(recording, Path(written))


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return generate(
        RecordingSpec(name="m1", width=160, height=120, nframes=(600,), seed=4), tmp_path_factory.mktemp("m1")
    )


@pytest.fixture(scope="session")
def output(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Output:
    """Full frame, every kind of ROI, motion and movie SVD."""
    rois = ("pupil", "whisker", "blink", "snout", "running")
    return facemap(recording, tmp_path_factory.mktemp("whole"), rois, full_svd=True, mov_svd=True)


@pytest.fixture(scope="session")
def roi_output(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Output:
    """Motion ROIs without the full frame."""
    return facemap(recording, tmp_path_factory.mktemp("rois"), ("whisker", "snout"), full_svd=False, mov_svd=False)


@dataclass
class World:
    """The lab and its programs."""

    settings: Settings
    database: Database
    ledger: Ledger
    lab: Lab
    store: Store
    bucket: str
    tables: types.ModuleType
    """Session and Device, as an Element's linking module supplies them."""
    others: list[Database] = field(default_factory=list)

    def upload(self, path: Path, place: str) -> str:
        """Put a file into the bucket; return its URI."""
        uri = f"{self.bucket}/{place}"
        self.store.upload(path, uri)
        return uri

    def insert_task(self, task: int = 0, *, file_path: str = "m1/m1.avi", **changes: Any) -> dict[str, Any]:
        """Insert a recording with its video, and a task to load its outputs."""
        element = self.lab.element
        recording = {"subject": "m1", "session_id": 1, "recording_id": 1}
        if not element.VideoRecording & recording:
            element.VideoRecording.insert1({**recording, "device": "camera"})
            element.VideoFile.insert1({**recording, "file_id": 0, "file_path": file_path})
        key = {**recording, "facemap_task_id": task}
        element.FacemapTask.insert1(key | {"task_mode": "load", "facemap_params": {}} | changes)
        return key

    def controller(self) -> Controller:
        leader = self.ledger.leader()
        if leader is not None:
            self.ledger.resign(leader[0], leader[1])
        database = Database(self.settings.database)
        self.others.append(database)
        return Controller(self.settings, database, self.store, LocalLauncher(self.settings))

    def settle(self) -> None:
        """Let a controller do all there is to do."""
        assert self.controller().drain(timeout=120)

    def load(self) -> list[LoadResult]:
        database = Database(self.settings.database)
        self.others.append(database)
        return Loader(self.settings, database, self.store).run_pass()

    def binding(self, key: dict[str, Any]) -> BindingRecord:
        found = self.ledger.binding(PIPELINE, Kind.SVD, key)
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
                video_roots=(f"{bucket}/raw",),
                processed_root=f"{bucket}/processed",
            ),
        ),
        controller={"inputs_look_s": 0.2, "inputs_look_max_s": 0.2, "interval_s": 0.1, "max_active": 3},
        local={"state_dir": tmp_path / "state", "stop_grace_s": 1},
        worker={"scratch_dir": tmp_path / "scratch"},
        load={"workdir": tmp_path / "load"},
    )
    database = Database(database_settings)
    tables = declare_lab(database, f"{prefix}lab")
    tables.Subject.insert1({"subject": "m1"})
    tables.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": dt.datetime(2026, 1, 15)})
    tables.Device.insert1({"device": "camera"})
    declare_element(database, f"{prefix}behavior", linking_module=tables)
    ledger = Ledger(database)
    found = World(settings, database, ledger, open_lab(database, ledger, settings.pipelines[0]), store, bucket, tables)
    yield found
    for connection in (database, *found.others):
        connection.close()


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    def wait(condition: Callable[[], Any]) -> Any:
        give_up = time.monotonic() + 30
        while not (found := condition()):
            assert time.monotonic() < give_up
            time.sleep(0.1)
        return found

    return wait
