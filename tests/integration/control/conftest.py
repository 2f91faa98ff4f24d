"""A lab with a controller whose workers are tiny processes at the wire: they read a spec and write a manifest."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.contracts import JobObservation, JobPhase, Kind, RunRecord
from fmdj_cloud.control.launchers.local import LocalLauncher
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import DatabaseSettings, LocalSettings, PipelineSettings, S3Settings, Settings, StorageSettings
from fmdj_cloud.storage import Store

PIPELINE = "lab"
WAIT_S = 10.0
WORKER = Path(__file__).with_name("tiny_worker.py")


def eventually(condition: Callable[[], Any], what: str = "it") -> Any:
    """Wait until something is true, and return it."""
    give_up = time.monotonic() + WAIT_S
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < give_up, f"{what} didn't happen within {WAIT_S:.0f} s"
        time.sleep(0.02)


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually


@dataclass
class Workers:
    """What the tiny workers do: one behaviour per attempt number, by default ``publish``."""

    folder: Path

    def behave(self, *behaviours: str) -> None:
        """Set what attempt 1, 2, ... do; the last one goes on."""
        (self.folder / "behaviours.json").write_text(json.dumps(behaviours))

    def release(self) -> None:
        """Let those that wait go on."""
        (self.folder / "go").touch()

    def starts(self) -> list[str]:
        """Return ``<run_id> <attempt> <pid>`` of every worker ever started."""
        log = self.folder / "starts"
        return log.read_text().splitlines() if log.exists() else []

    def pids(self) -> list[int]:
        return [int(line.split()[2]) for line in self.starts()]


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie doesn't)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(name="is_alive")
def is_alive_fixture() -> Callable[[int], bool]:
    return is_alive


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    folder = tmp_path / "workers"
    folder.mkdir()
    found = Workers(folder)
    found.behave("publish")
    return found


@pytest.fixture
def make_launcher(tmp_path: Path, workers: Workers) -> Iterator[Callable[..., LocalLauncher]]:
    """Makes launchers on one state folder; all of its Jobs are stopped at the end."""
    made: list[LocalLauncher] = []

    def make(settings: Settings | None = None, command: tuple[str, ...] | None = None) -> LocalLauncher:
        local = LocalSettings(state_dir=tmp_path / "state", stop_grace_s=1)
        base = settings or Settings()
        launcher = LocalLauncher(
            base.model_copy(update={"local": local}),
            worker_command=command or (sys.executable, "-I", str(WORKER)),
            environment={**os.environ, "TINY_WORKER": str(workers.folder)},
        )
        made.append(launcher)
        return launcher

    yield make
    if made:
        eventually(lambda: not _stop_all(made[-1]), "the end of all Jobs")


def _stop_all(launcher: LocalLauncher) -> tuple[JobObservation, ...]:
    running = tuple(job for job in launcher.observe() if job.phase is JobPhase.RUNNING)
    for job in running:
        launcher.stop(job.name)
    return running


@dataclass
class World:
    """The lab, and the means to run a controller over it."""

    settings: Settings
    database: Database
    ledger: Ledger
    lab: Lab
    store: Store
    bucket: str
    workers: Workers
    make_launcher: Callable[..., LocalLauncher]
    databases: list[Database] = field(default_factory=list)
    recordings: int = 0

    def controller(self, settings: Settings | None = None, **options: Any) -> Controller:
        """A new controller with its own connection, as after a restart; the lease of the last one is over."""
        self.forget_leader()
        chosen = settings or self.settings
        database = Database(chosen.database)
        self.databases.append(database)
        return Controller(chosen, database, self.store, self.make_launcher(chosen), **options)

    def forget_leader(self) -> None:
        """End whatever lease there is, as 30 s would."""
        leader = self.ledger.leader()
        if leader is not None:
            self.ledger.resign(leader[0], leader[1])

    def with_controller(self, **changes: Any) -> Settings:
        """The settings with changes under `controller`."""
        controller = self.settings.controller.model_copy(update=changes)
        return self.settings.model_copy(update={"controller": controller})

    def insert_task(self, *, upload: bool = True, **changes: Any) -> dict[str, Any]:
        """Insert a recording with one video and a task; return the task's key."""
        self.recordings += 1
        element = self.lab.element
        recording = {"subject": "m1", "session_id": 1, "recording_id": self.recordings}
        element.VideoRecording.insert1({**recording, "device": "camera"})
        element.VideoFile.insert1({**recording, "file_id": 0, "file_path": f"m1/cam{self.recordings}.avi"})
        if upload:
            self.upload(self.recordings)
        key = {**recording, "facemap_task_id": 0}
        element.FacemapTask.insert1(key | {"task_mode": "trigger", "facemap_params": {"sbin": 4}} | changes)
        return key

    def upload(self, recording: int, data: bytes = b"video" * 1000) -> None:
        """Put a recording's video where it belongs."""
        self.store.put_bytes(f"{self.bucket}/videos/m1/cam{recording}.avi", data)

    def edit_task(self, key: dict[str, Any], **changes: Any) -> None:
        self.lab.element.FacemapTask.update1(key | changes)

    def add_result(self, key: dict[str, Any]) -> None:
        """Insert result rows, as the loader (or somebody else) would."""
        element = self.lab.element
        element.FacemapProcessing.insert1(
            key | {"processing_time": "2026-01-31 12:00:00", "package_version": "1.0.8"}, allow_direct_insert=True
        )
        element.FacialSignal.insert1(key, allow_direct_insert=True)

    def delete_result(self, key: dict[str, Any]) -> None:
        (self.lab.element.FacemapProcessing & key).delete(prompt=False)

    def run_of(self, key: dict[str, Any]) -> RunRecord:
        """The run that a task is bound to."""
        binding = self.ledger.binding(PIPELINE, self.lab.tasks(Kind.SVD).get(key).kind, key)
        assert binding is not None
        assert binding.run_id is not None
        run = self.ledger.run(binding.run_id)
        assert run is not None
        return run

    def pass_until(self, controller: Controller, condition: Callable[[], Any]) -> Any:
        """Run passes until something is true."""

        def step() -> Any:
            controller.run_pass()
            return condition()

        return eventually(step)


@pytest.fixture
def world(
    database_settings: DatabaseSettings,
    s3_settings: S3Settings,
    store: Store,
    bucket: str,
    workers: Workers,
    make_launcher: Callable[..., LocalLauncher],
) -> Iterator[World]:
    """A lab with one subject and session, and no tasks."""
    database = Database(database_settings)
    linked = declare_lab(database, f"{database_settings.prefix}lab")
    linked.Subject.insert1({"subject": "m1"})
    linked.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": "2026-01-31 09:00:00"})
    linked.Device.insert1({"device": "camera"})
    pipeline = PipelineSettings(
        name=PIPELINE,
        behavior_schema=f"{database_settings.prefix}facemap",
        video_roots=(f"{bucket}/videos",),
        processed_root=f"{bucket}/processed",
    )
    declare_element(database, pipeline.behavior_schema, linking_module=linked)
    settings = Settings(database=database_settings, storage=StorageSettings(s3=s3_settings), pipelines=(pipeline,))
    retry = settings.controller.retry.model_copy(update={"backoff_s": 0.0})
    controller = settings.controller.model_copy(update={"retry": retry, "max_active": 2})
    settings = settings.model_copy(update={"controller": controller})
    ledger = Ledger(database)
    lab = open_lab(database, ledger, pipeline)
    found = World(settings, database, ledger, lab, store, bucket, workers, make_launcher)
    yield found
    for connection in (database, *found.databases):
        connection.close()
