"""A lab whose tables can be populated, by tiny workers or by the real one; declared once per database server."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import sys
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.contracts import AttemptRecord, JobPhase, Kind, RunRecord
from fmdj_cloud.control.launchers.local import WORKER_COMMAND, LocalLauncher
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.pipeline.attachments import Attachment
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, declare_element
from fmdj_cloud.pipeline.inference import Inference, declare_inference
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.models import add_model
from fmdj_cloud.populate.runner import PopulateRunner, PoseRunner
from fmdj_cloud.settings import DatabaseSettings, PipelineSettings, S3Settings, Settings
from fmdj_cloud.storage import Store
from tests.support.pose import signals

PIPELINE = "lab"
WAIT_S = 30.0
SILENT_S = 2.0
TINY = (sys.executable, "-I", str(Path(__file__).with_name("signal_worker.py")))


def _builders() -> types.ModuleType:
    path = Path(__file__).parents[2] / "unit" / "load" / "conftest.py"
    spec = importlib.util.spec_from_file_location("fmdj_populate_builders", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def eventually(condition: Callable[[], Any], what: str = "it") -> Any:
    give_up = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < give_up, f"{what} didn't happen within {WAIT_S:.0f} s"
        time.sleep(0.02)
    return found


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually


@dataclass
class Workers:
    """What the tiny workers do."""

    folder: Path

    def reset(self) -> None:
        for name in ("starts", "go"):
            (self.folder / name).unlink(missing_ok=True)
        self.behave("publish")

    def behave(self, *behaviours: str) -> None:
        (self.folder / "behaviours.json").write_text(json.dumps(behaviours))

    @contextlib.contextmanager
    def publishing(self, write: Callable[[Path], Any]) -> Iterator[None]:
        """Have other points published for a while."""
        path = self.folder / "pose.h5"
        kept = path.read_bytes()
        write(path)
        try:
            yield
        finally:
            path.write_bytes(kept)

    def release(self) -> None:
        (self.folder / "go").touch()

    def starts(self) -> list[tuple[str, int, int]]:
        """(run_id, attempt, pid) of every worker started in this test."""
        log = self.folder / "starts"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(run, int(attempt), int(pid)) for run, attempt, pid in (line.split() for line in lines)]

    def running(self) -> list[int]:
        return [pid for _, _, pid in self.starts() if _is_alive(pid)]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _stop_all(launcher: LocalLauncher) -> list[str]:
    running = [job.name for job in launcher.observe() if job.phase is JobPhase.RUNNING]
    for name in running:
        launcher.stop(name)
    return running


@dataclass
class World:
    """The lab, and everybody who may compute for it."""

    settings: Settings
    database: Database
    element: Element
    inference: Inference
    ledger: Ledger
    lab: Lab
    store: Store
    workers: Workers
    linked: Any
    bucket: str
    runner: PopulateRunner
    pose_runner: PoseRunner
    recordings: int = 0
    databases: list[Database] = field(default_factory=list)
    launchers: list[LocalLauncher] = field(default_factory=list)
    children: list[int] = field(default_factory=list)

    def insert_recording(self, video: bytes | None) -> dict[str, Any]:
        """Insert a recording with one video; return its key."""
        self.recordings += 1
        recording = {"subject": "m1", "session_id": 1, "recording_id": self.recordings}
        path = f"m1/cam{self.recordings}.avi"
        self.element.VideoRecording.insert1({**recording, "device": "camera"})
        self.element.VideoFile.insert1({**recording, "file_id": 0, "file_path": path})
        if video is not None:
            self.store.put_bytes(f"{self.bucket}/videos/{path}", video)
        return recording

    def insert_task(self, *, video: bytes | None = b"video" * 1000, **changes: Any) -> dict[str, Any]:
        """Insert a recording with one video and a task; return the task's key."""
        key = {**self.insert_recording(video), "facemap_task_id": 0}
        task = {"task_mode": "trigger", "facemap_params": {"sbin": 4}, "do_mov_svd": True}
        self.element.FacemapTask.insert1(key | task | changes)
        return key

    def insert_pose_task(self, *, video: bytes | None = b"video" * 1000, **changes: Any) -> dict[str, Any]:
        """Insert a recording with one video and a task for pose inference; return the task's key."""
        key = {**self.insert_recording(video), "model_id": 1}
        self.inference.FacemapInferenceTask.insert1(key | {"task_mode": "trigger"} | changes)
        return key

    def run_of(self, key: dict[str, Any]) -> RunRecord:
        binding = self.ledger.binding(PIPELINE, Kind.POSE if "model_id" in key else Kind.SVD, key)
        assert binding is not None
        assert binding.run_id is not None
        run = self.ledger.run(binding.run_id)
        assert run is not None
        return run

    def attempts(self, key: dict[str, Any]) -> list[AttemptRecord]:
        return self.ledger.attempts(self.run_of(key).run_id)

    def connect(self) -> Database:
        self.databases.append(Database(self.settings.database))
        return self.databases[-1]

    def controller(self) -> Controller:
        """A controller with tiny workers; the lease of the last one is over."""
        leader = self.ledger.leader()
        if leader is not None:
            self.ledger.resign(leader[0], leader[1])
        environment = {**os.environ, "TINY_WORKER": str(self.workers.folder)}
        self.launchers.append(LocalLauncher(self.settings, worker_command=TINY, environment=environment))
        return Controller(self.settings, self.connect(), self.store, self.launchers[-1])

    def loader(self) -> Loader:
        return Loader(self.settings, self.connect(), self.store)

    def pass_until(self, controller: Controller, condition: Callable[[], Any]) -> Any:
        def step() -> Any:
            controller.run_pass()
            return condition()

        return eventually(step)

    def fork(self, populate: Callable[[], Any]) -> int:
        """Call something in a process of its own, which ends with 0 if it returns, 1 if it raises; return its pid."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                kept = self.database.connection._conn  # the parent's: not to be closed from here
                self.database._connect_again()
                populate()
                code = 0 if kept is not None else 2
            finally:
                os._exit(code)
        self.children.append(pid)
        return pid

    def wait_for(self, pid: int) -> int:
        """Return the exit code of a child."""
        self.children.remove(pid)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def clean(self) -> None:
        """Delete all rows and end all processes."""
        for pid in self.children:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        self.children.clear()
        for launcher in self.launchers:
            eventually(lambda: not _stop_all(launcher), "the end of all Jobs")  # noqa: B023 - called at once
            for job in launcher.observe():
                launcher.forget(job.name)
        self.launchers.clear()
        for database in self.databases:
            database.close()
        self.databases.clear()
        self.workers.reset()
        element, inference, database = self.element, self.inference, self.database
        database.connection.connect()
        poses = (inference.BodyPartPosition, inference.FacemapInference, inference.FacemapInferenceTask)
        parts = (element.Summary, element.MovieSVD, element.MotionSVD, element.Region, element.FacialSignal)
        tasks = (element.FacemapProcessing, element.FacemapTask, element.RecordingInfo, element.VideoFile)
        for table in (*poses, *parts, *tasks, element.VideoRecording):
            database.execute(f"DELETE FROM {table.full_table_name}")
        for schema in (element.schema, inference.schema):
            for name in database.tables(schema):
                if name.startswith("~~"):
                    database.execute(f"DELETE FROM {database.quote(schema, name)}")
        ours = database.tables(database.ledger_schema) - {"~lineage", "run", "run__attempt", "schema_version"}
        for name in [*sorted(ours), "run__attempt", "run"]:
            database.execute(f"DELETE FROM {database.quote(database.ledger_schema, name)}")


@pytest.fixture(scope="session")
def populate_bucket(_s3_client: Any) -> str:
    _s3_client.create_bucket(Bucket="populate")
    return "s3://populate"


@pytest.fixture(scope="session")
def shared_world(
    database_server: DatabaseSettings,
    s3_settings: S3Settings,
    store: Store,
    populate_bucket: str,
    tmp_path_factory: pytest.TempPathFactory,
    once_per_server: Callable[..., World],
) -> World:
    """Declared once: a declaration takes as long as a test."""
    settings = database_server.model_copy(update={"prefix": f"{database_server.prefix}populate_"})

    def make() -> contextlib.AbstractContextManager[World]:
        folder = tmp_path_factory.mktemp("populate")
        return _populate_world(settings, s3_settings, store, f"{populate_bucket}/{folder.name}", folder)

    return once_per_server("populate", settings, make)


@contextlib.contextmanager
def _populate_world(
    database_settings: DatabaseSettings, s3_settings: S3Settings, store: Store, bucket: str, folder: Path
) -> Iterator[World]:
    pipeline = PipelineSettings(
        name=PIPELINE,
        behavior_schema=f"{database_settings.prefix}facemap",
        inference_schema=f"{database_settings.prefix}inference",
        video_roots=(f"{bucket}/videos",),
        processed_root=f"{bucket}/processed",
    )
    settings = Settings(
        database=database_settings,
        storage={"s3": s3_settings},
        pipelines=(pipeline,),
        controller={
            "populate_beat_s": 0.2,
            "retry": {"backoff_s": 0.0},
            "max_active": 2,
        },
        local={"state_dir": folder / "state", "stop_grace_s": 1},
        load={"workdir": folder / "scratch"},
        worker={"scratch_dir": folder},
    )
    workers = Workers(folder / "workers")
    workers.folder.mkdir()
    workers.reset()
    builders = _builders()
    builders.write(workers.folder / "signals.h5", skip=(1, 2, 3, 4))
    (workers.folder / "manifest.json").write_text(builders.manifest().model_dump_json())
    signals.write(workers.folder / "pose.h5")
    (workers.folder / "pose.json").write_text(signals.manifest().model_dump_json())
    # A child that is stopped within a transaction holds its locks until the server ends it
    database = Database(database_settings.model_copy(update={"idle_transaction_s": 3}))
    linked = declare_lab(database, f"{database_settings.prefix}lab")
    linked.Subject.insert1({"subject": "m1"})
    linked.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": "2026-01-31 09:00:00"})
    linked.Device.insert1({"device": "camera"})
    environment = {**os.environ, "TINY_WORKER": str(workers.folder)}
    runner = PopulateRunner(settings, pipeline, database, worker_command=TINY, environment=environment)
    element = declare_element(database, pipeline.behavior_schema, linking_module=linked, runner=runner)
    poser = PoseRunner(settings, pipeline, database, worker_command=TINY, environment=environment)
    inference = declare_inference(database, str(pipeline.inference_schema), element=element, runner=poser)
    add_model(inference, 1, "small", Attachment("small.pt", b"weights"), body_parts=BODY_PARTS)
    ledger = Ledger(database)
    lab = open_lab(database, ledger, pipeline)
    made = World(settings, database, element, inference, ledger, lab, store, workers, linked, bucket, runner, poser)
    yield made
    database.close()


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """A lab with one subject and session, and no tasks; its workers are tiny."""
    yield shared_world
    shared_world.clean()


@pytest.fixture
def impatient(world: World) -> Iterator[World]:
    """The same lab, where a populate that isn't heard of soon counts as gone."""
    before = world.settings
    controller = before.controller.model_copy(update={"populate_silent_s": SILENT_S})
    _give(world, before.model_copy(update={"controller": controller}))
    yield world
    _give(world, before)


def _give(world: World, settings: Settings) -> None:
    world.settings = settings
    for runner in (world.runner, world.pose_runner):
        runner._settings, runner._opened = settings, None


@pytest.fixture
def real(world: World) -> World:
    """The same lab with the real worker."""
    pipeline, database = world.settings.pipelines[0], world.database
    runner = PopulateRunner(world.settings, pipeline, database, worker_command=WORKER_COMMAND)
    element = declare_element(database, pipeline.behavior_schema, linking_module=world.linked, runner=runner)
    poser = PoseRunner(world.settings, pipeline, database, worker_command=WORKER_COMMAND)
    inference = declare_inference(database, str(pipeline.inference_schema), element=element, runner=poser)
    return dataclasses.replace(world, element=element, inference=inference)
