"""A lab with a task, and runs published for it by hand: what worker and controller leave for the loader."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import importlib.util
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from fmdj_cloud.contracts import Estimate, Kind, Limits, ManifestFile, PoseParams, RunPlan, RunRecord, RunSpec
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.names import run_id as make_run_id
from fmdj_cloud.names import sha256_text
from fmdj_cloud.pipeline.attachments import Attachment
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.pipeline.inference import Inference, declare_inference
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.models import add_model
from fmdj_cloud.settings import DatabaseSettings, PipelineSettings, S3Settings, Settings, StorageSettings
from fmdj_cloud.storage import Store, open_store
from tests.support.pose import signals as pose_signals

W = TypeVar("W", bound="World")
PIPELINE = "lab"
_LIMITS = Limits(time_budget_s=600, memory_mib=1024, scratch_mib=1024, threads=1)


def _unit_builders() -> types.ModuleType:
    path = Path(__file__).parents[2] / "unit" / "load" / "conftest.py"
    spec = importlib.util.spec_from_file_location("fmdj_load_builders", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _unit_builders()


@dataclass
class World:
    """The lab, its store, and what was published."""

    settings: Settings
    database: Database
    ledger: Ledger
    lab: Lab
    store: Store
    folder: Path
    tasks: int = 0
    epoch: int = 0
    file: Path | None = None
    others: list[Database] = field(default_factory=list)
    kind: ClassVar[Kind] = Kind.SVD
    gui_file: ClassVar[str] = "main/1_proc.npy"
    made: ClassVar[types.ModuleType] = make
    projections: ClassVar[str | None] = None
    """DataJoint store that projections are kept in."""

    def params(self) -> dict[str, Any]:
        """What runs are planned with."""
        return {"svd": make.params()}

    def insert_recording(self) -> dict[str, Any]:
        """Insert a recording with one file; return its key."""
        self.tasks += 1
        element = self.lab.element
        recording = {"subject": "m1", "session_id": 1, "recording_id": self.tasks}
        element.VideoRecording.insert1({**recording, "device": "camera"})
        element.VideoFile.insert1({**recording, "file_id": 0, "file_path": f"m1/{self.tasks}.avi"})
        return recording

    def insert_task(self, **changes: Any) -> dict[str, Any]:
        """Insert a recording with a task; return the task's key."""
        key = {**self.insert_recording(), "facemap_task_id": 0}
        task = {"task_mode": "trigger", "facemap_params": {"sbin": 4}}
        self.lab.element.FacemapTask.insert1(key | task | changes)
        return key

    def launch(self, key: dict[str, Any], content: str = "c") -> RunRecord:
        """Plan and launch a task's run; its spec is in the store."""
        task = self.lab.tasks(self.kind).get(key)
        digest = sha256_text(content)
        plan = RunPlan(
            videos=(),
            **self.params(),
            limits=_LIMITS,
            estimate=Estimate(
                frames=60, height=32, width=48, seconds=1, memory_mib=1024, scratch_mib=1024, source="header"
            ),
        )
        run_id = make_run_id(self.kind, task.task_digest, digest)
        output_dir = f"{self.lab.settings.processed_root}/m1/facemap_0/{run_id}"
        run = self.ledger.plan(task, run_id, digest, plan, output_dir, manifest_verifies=_never, epoch=self.epoch)
        return self._launch(run, plan, task.task_digest)

    def _launch(self, run: RunRecord, plan: RunPlan, task_digest: str) -> RunRecord:
        folder = f"{run.output_dir}/a{run.attempt}"
        spec = RunSpec(
            run_id=run.run_id,
            kind=run.kind,
            pipeline=run.pipeline,
            task=run.task,
            task_digest=task_digest,
            content_digest=run.content_digest,
            attempt=run.attempt,
            attempt_uri=folder,
            videos=plan.videos,
            svd=plan.svd,
            pose=plan.pose,
            limits=plan.limits,
        )
        data = spec.model_dump_json().encode()
        self.store.put_bytes(f"{folder}/spec.json", data)
        assert self.ledger.launch(
            run.run_id,
            run.attempt,
            folder=folder,
            spec_sha256=_sha256(data),
            launcher="local",
            job_name=f"fmdj-{run.run_id}-a{run.attempt}",
            limits=plan.limits,
            epoch=self.epoch,
        )
        launched = self.ledger.run(run.run_id)
        assert launched is not None
        return launched

    def upload(
        self, run: RunRecord, nonce: str = "n1", *, file: dict[str, Any] | None = None, seed: int = 0, **changes: Any
    ) -> str:
        """Put an attempt's outputs into the store as a worker does; return the manifest's digest."""
        attempt = self.ledger.attempt(run.run_id, run.attempt)
        assert attempt is not None
        signals = self.made.write(self.folder / f"{nonce}.h5", run_id=run.run_id, seed=seed, **(file or {}))
        self.store.upload(signals, f"{attempt.folder}/{nonce}/signals.h5")
        gui = b"not opened by the loader"
        self.store.put_bytes(f"{attempt.folder}/{nonce}/facemap/{self.gui_file}", gui)
        values = {
            "run_id": run.run_id,
            "attempt": run.attempt,
            "nonce": nonce,
            "spec_sha256": attempt.spec_sha256,
            "content_digest": run.content_digest,
            "gui_file": f"{nonce}/facemap/{self.gui_file}",
            "files": (
                _file(f"{nonce}/signals.h5", "signals", signals.read_bytes()),
                _file(f"{nonce}/facemap/{self.gui_file}", "facemap", gui),
            ),
        }
        data = self.made.manifest(**values | changes).model_dump_json().encode()
        self.store.put_bytes(f"{attempt.folder}/{nonce}/manifest.json", data)
        self.store.put_bytes(f"{attempt.folder}/manifest.json", data)
        return _sha256(data)

    def publish(self, key: dict[str, Any], content: str = "c", **changes: Any) -> RunRecord:
        """Plan, launch and publish a task's run."""
        run = self.launch(key, content)
        return self.pin(run, self.upload(run, **changes))

    def pin(self, run: RunRecord, sha256: str) -> RunRecord:
        """Do what the controller does when it reads a valid manifest."""
        assert self.ledger.publish(run.run_id, run.attempt, sha256, epoch=self.epoch)
        return self.run(run)

    def run(self, run: RunRecord) -> RunRecord:
        """Read a run again."""
        found = self.ledger.run(run.run_id)
        assert found is not None
        return found

    def loader(self, **changes: Any) -> Loader:
        """A loader with a connection of its own, as every process has."""
        database = Database(self.settings.database)
        self.others.append(database)
        return Loader(self.settings, database, self.store, **changes)

    def sessions_waiting(self) -> list[int]:
        """Numbers of the server's sessions that wait for a lock."""
        if self.database.backend == "postgresql":
            sql = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        else:
            time.sleep(0.15)  # what InnoDB tells is renewed only if nobody asked for 0.1 s
            sql = "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        return [number for (number,) in self.database.query(sql)]

    def sessions(self) -> list[int]:
        """Numbers of all of the server's sessions."""
        if self.database.backend == "postgresql":
            sql = "SELECT pid FROM pg_stat_activity"
        else:
            sql = "SELECT id FROM information_schema.processlist"
        return [number for (number,) in self.database.query(sql)]

    def cut(self, other: Database) -> None:
        """End another connection from the server's side."""
        if self.database.backend == "postgresql":
            self.database.query("SELECT pg_terminate_backend(%s)", *other.query("SELECT pg_backend_pid()"))
        else:
            self.database.execute("KILL %s", *other.query("SELECT CONNECTION_ID()"))

    @contextlib.contextmanager
    def inserts_blocked(self, table: str) -> Iterator[None]:
        """Whoever inserts into an empty table waits."""
        blocker = Database(self.settings.database)
        self.others.append(blocker)
        if blocker.backend == "postgresql":
            statement = f"LOCK TABLE {table} IN SHARE MODE"
        else:  # the lock that a repeatable reader takes on the gap where rows would be
            blocker.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            statement = f"SELECT * FROM {table} FOR UPDATE"
        with blocker.transaction():
            blocker.execute(statement)
            yield

    def rows(self, key: dict[str, Any]) -> dict[str, int]:
        """Rows of the task in every result table."""
        element, signals = self.lab.element, self.lab.signals
        tables = {
            name: getattr(element, name)
            for name in ("FacemapProcessing", "FacialSignal", "Region", "MotionSVD", "MovieSVD", "Summary")
        } | {name: getattr(signals, name) for name in ("Pupil", "Blink", "Running")}
        return {name: len(table & key) for name, table in tables.items()}


@dataclass
class PoseWorld(World):
    """The same lab with a model that finds points of the face."""

    kind: ClassVar[Kind] = Kind.POSE
    gui_file: ClassVar[str] = "pose/1_FacemapPose.h5"
    made: ClassVar[types.ModuleType] = pose_signals

    @property
    def inference(self) -> Inference:
        assert self.lab.inference is not None
        return self.lab.inference

    def params(self) -> dict[str, Any]:
        return {"pose": PoseParams(body_parts=BODY_PARTS, pose_view=1)}

    def insert_task(self, **changes: Any) -> dict[str, Any]:
        key = {**self.insert_recording(), "model_id": 1}
        self.inference.FacemapInferenceTask.insert1(key | {"task_mode": "trigger"} | changes)
        return key

    def rows(self, key: dict[str, Any]) -> dict[str, int]:
        tables = {name: getattr(self.inference, name) for name in ("FacemapInference", "BodyPartPosition")}
        return {name: len(table & key) for name, table in tables.items()}


def _never(_folder: str, _attempt: int, _sha256: str) -> bool:
    return False


def _file(path: str, role: str, data: bytes) -> ManifestFile:
    return ManifestFile(path=path, role=role, size=len(data), sha256=_sha256(data))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def make_world(
    database_settings: DatabaseSettings, s3_settings: S3Settings, store: Store, bucket: str, tmp_path: Path
) -> Callable[[type[W]], contextlib.AbstractContextManager[W]]:
    return lambda kind: _world(kind, database_settings, s3_settings, store, bucket, tmp_path)


@pytest.fixture
def world(make_world: Callable[..., contextlib.AbstractContextManager[World]]) -> Iterator[World]:
    with make_world(World) as made:
        yield made


@pytest.fixture
def pose(make_world: Callable[..., contextlib.AbstractContextManager[PoseWorld]]) -> Iterator[PoseWorld]:
    """A lab with tables for pose inference, too."""
    with make_world(PoseWorld) as made:
        yield made


@contextlib.contextmanager
def _world(
    world_class: type[W],
    database_settings: DatabaseSettings,
    s3_settings: S3Settings,
    store: Store,
    bucket: str,
    folder: Path,
) -> Iterator[W]:
    if world_class.projections is not None:
        (folder / "cold").mkdir()
        store = open_store(StorageSettings(s3=s3_settings, file={"roots": (folder / "cold",)}))
    prefix = database_settings.prefix
    with_pose = world_class.kind is Kind.POSE
    settings = Settings(
        database=database_settings,
        storage={"s3": s3_settings},
        pipelines=(
            PipelineSettings(
                name=PIPELINE,
                behavior_schema=f"{prefix}behavior",
                inference_schema=f"{prefix}inference" if with_pose else None,
                video_roots=(f"{bucket}/raw",),
                processed_root=f"{bucket}/processed",
                stores={"cold": (folder / "cold").as_uri()},
                projections=world_class.projections,
            ),
        ),
        load={"workdir": folder / "scratch", "missing_wait_s": 0},
    )
    database = Database(database_settings)
    tables = declare_lab(database, f"{prefix}lab")
    tables.Subject.insert1({"subject": "m1"})
    tables.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": dt.datetime(2026, 1, 15)})
    tables.Device.insert1({"device": "camera"})
    element = declare_element(database, f"{prefix}behavior", linking_module=tables, projections=world_class.projections)
    if with_pose:
        inference = declare_inference(database, f"{prefix}inference", element=element)
        add_model(inference, 1, "small", Attachment("small.pt", b"weights"), body_parts=BODY_PARTS)
    ledger = Ledger(database)
    lab = open_lab(database, ledger, settings.pipelines[0], objects=store)
    made = world_class(settings, database, ledger, lab, store, folder)
    made.epoch = ledger.acquire("test", 600) or 0
    try:
        yield made
    finally:
        for connection in (*made.others, database):
            with contextlib.suppress(Exception):
                connection.close()
