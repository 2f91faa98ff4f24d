"""A lab with an Element of its own for every test, and what tests of the ledger plan with."""

from __future__ import annotations

import contextlib
import datetime as dt
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import datajoint as dj
import numpy as np
import pytest

from fmdj_cloud.contracts import (
    Estimate,
    Kind,
    Limits,
    ModelRecord,
    Outcome,
    RunPlan,
    RunRecord,
    SvdParams,
    TaskRecord,
    VideoRef,
)
from fmdj_cloud.names import run_id as make_run_id
from fmdj_cloud.pipeline.attachments import Attachment
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, declare_element
from fmdj_cloud.pipeline.inference import Inference, declare_inference
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger, ManifestVerifies
from fmdj_cloud.pipeline.models import add_model
from fmdj_cloud.pipeline.svd_tasks import SvdTasks
from fmdj_cloud.pipeline.tasks import Tasks
from fmdj_cloud.settings import DatabaseSettings, PipelineSettings

LIMITS = Limits(time_budget_s=60, memory_mib=1000, scratch_mib=1000, threads=1)
PLAN = RunPlan(
    videos=((VideoRef(uri="s3://b/v.avi", name="v.avi", size=10, etag="e"),),),
    svd=SvdParams(sbin=4),
    limits=LIMITS,
    estimate=Estimate(
        frames=100, height=10, width=20, seconds=5, memory_mib=500, scratch_mib=10, source="RecordingInfo"
    ),
)
SHA = "ab" * 32
OTHER_SHA = "cd" * 32
WEIGHTS = b"weights\0of a network" * 10


def linking_module(database: Database, schema_name: str, key: str) -> Any:
    """Session with the key attributes of definition `key`, and Device."""
    schema = database.instance.Schema(schema_name)
    session = type(dj.Manual)("Session", (dj.Manual,), {"definition": key})
    device = type(dj.Manual)("Device", (dj.Manual,), {"definition": "device : varchar(32)"})
    context = {"Session": session, "Device": device}
    for table in context.values():
        schema(table, context=context)
    device.insert1({"device": "cam"}, skip_duplicates=True)
    return types.SimpleNamespace(**context)


@dataclass
class World:
    """A pipeline called `lab` and everything that looks at it through one connection."""

    database: Database
    element: Element
    session: Any
    ledger: Ledger = field(init=False)
    tasks: SvdTasks = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.database)
        self.ledger.attach("lab", Kind.SVD, self.element.FacemapTask)
        settings = PipelineSettings(
            name="lab", behavior_schema=self.element.schema, video_roots=("s3://v",), processed_root="s3://p"
        )
        self.tasks = SvdTasks(self.database, self.element, self.ledger, settings)

    def empty(self) -> None:
        """Delete all rows."""
        element, database = self.element, self.database
        parts = (element.Summary, element.MovieSVD, element.MotionSVD, element.Region, element.FacialSignal)
        tasks = (element.FacemapProcessing, element.FacemapTask, element.RecordingInfo, element.VideoFile)
        for table in (*parts, *tasks, element.VideoRecording, self.session):
            database.execute(f"DELETE FROM {table.full_table_name}")
        ours = database.tables(database.ledger_schema) - {"~lineage", "schema_version"}
        last = ["run__job", "run__attempt", "run"]
        for name in [*(ours - set(last)), *last]:
            database.execute(f"DELETE FROM {database.quote(database.ledger_schema, name)}")

    def add_recording(self, recording_id: int, session: dict[str, Any] | None = None) -> dict[str, Any]:
        session = session or {"subject": "m1"}
        self.session.insert1(session, skip_duplicates=True)
        key = {**session, "recording_id": recording_id}
        self.element.VideoRecording.insert1({**key, "device": "cam"}, skip_duplicates=True)
        return key

    def add_task(
        self, recording_id: int = 1, task_id: int = 0, session: dict[str, Any] | None = None, **columns: Any
    ) -> dict[str, Any]:
        key = {**self.add_recording(recording_id, session), "facemap_task_id": task_id}
        self.element.FacemapTask.insert1({"facemap_params": {"sbin": 4}, "task_mode": "trigger", **columns, **key})
        return key

    def add_result(self, key: dict[str, Any], *, signal: bool = True) -> None:
        now = dt.datetime(2026, 1, 1)
        self.element.FacemapProcessing.insert1({**key, "processing_time": now}, allow_direct_insert=True)
        if signal:
            self.element.FacialSignal.insert1(key, allow_direct_insert=True)

    def task(self, key: dict[str, Any]) -> TaskRecord:
        found = self.tasks.get(key)
        assert found is not None
        return found

    def plan(
        self,
        task: TaskRecord,
        content: str = "c",
        *,
        run_id: str = "",
        via: Ledger | None = None,
        epoch: int | None = None,
        manifest_verifies: ManifestVerifies = lambda *_: False,
    ) -> RunRecord:
        run_id = run_id or make_run_id(task.kind, task.task_digest, content)
        ledger = via or self.ledger
        return ledger.plan(
            task, run_id, content, PLAN, f"s3://p/{run_id}", manifest_verifies=manifest_verifies, epoch=epoch
        )

    def planned(self, recording_id: int = 1, **options: Any) -> RunRecord:
        """A new task, planned."""
        return self.plan(self.task(self.add_task(recording_id)), **options)

    def launch(self, run: RunRecord, epoch: int | None = None) -> bool:
        return self.ledger.launch(
            run.run_id,
            run.attempt,
            folder=f"{run.output_dir}/a{run.attempt}",
            spec_sha256=SHA,
            launcher="local",
            job_name=f"fmdj-{run.run_id}-a{run.attempt}",
            limits=LIMITS,
            epoch=epoch,
        )

    def launched(self, recording_id: int = 1) -> RunRecord:
        run = self.planned(recording_id)
        assert self.launch(run)
        return self.now(run)

    def published(self, recording_id: int = 1) -> RunRecord:
        run = self.launched(recording_id)
        assert self.ledger.publish(run.run_id, run.attempt, SHA, epoch=None)
        return self.now(run)

    def loaded(self, recording_id: int = 1) -> RunRecord:
        run = self.published(recording_id)
        assert self.ledger.mark_loaded(run.run_id, run.attempt, SHA)
        return self.now(run)

    def now(self, run: RunRecord) -> RunRecord:
        """The run as it is now."""
        found = self.ledger.run(run.run_id)
        assert found is not None
        return found


def failure(name: str = "crash", sentence: str = "It crashed.") -> Outcome:
    return Outcome(failure_class=name, sentence=sentence, evidence={"exit": "1"})


SUBJECT_KEY = "subject : varchar(16)"


def _make_world(settings: DatabaseSettings, key: str) -> World:
    database = Database(settings)
    linked = linking_module(database, f"{settings.prefix}lab", key)
    element = declare_element(database, f"{settings.prefix}behavior", linking_module=linked)
    return World(database, element, linked.Session)


@pytest.fixture(scope="session")
def shared_world(database_server: DatabaseSettings, once_per_server: Callable[..., World]) -> World:
    """Declared once: a declaration takes as long as ten tests."""
    settings = database_server.model_copy(update={"prefix": f"{database_server.prefix}shared_"})

    @contextlib.contextmanager
    def make() -> Iterator[World]:
        made = _make_world(settings, SUBJECT_KEY)
        yield made
        made.database.close()

    return once_per_server("pipeline", settings, make)


@pytest.fixture
def world(shared_world: World) -> World:
    """A lab whose Session is known by its subject, empty."""
    shared_world.empty()
    return shared_world


@dataclass
class Poses:
    """The tables of pose inference of a world, and its lab with both task tables."""

    world: World
    inference: Inference
    lab: Lab = field(init=False)

    def __post_init__(self) -> None:
        settings = PipelineSettings(
            name="lab",
            behavior_schema=self.world.element.schema,
            inference_schema=self.inference.schema,
            video_roots=("s3://v",),
            processed_root="s3://p",
            stores={"models": "s3://models/place"},
        )
        self.lab = open_lab(self.world.database, self.world.ledger, settings)

    @property
    def tasks(self) -> Tasks:
        return self.lab.tasks(Kind.POSE)

    def empty(self) -> None:
        """Delete all rows but the body parts that there are from the start."""
        found = self.inference
        results = (found.BodyPartPosition, found.FacemapInference, found.FacemapInferenceTask)
        for table in (*results, found.ModelFile, found.ModelBodyPart, found.FacemapModel):
            self.world.database.execute(f"DELETE FROM {table.full_table_name}")
        (found.BodyPart & f"body_part NOT IN {BODY_PARTS}").delete_quick()

    def add_model(
        self, number: int = 7, weights: bytes = WEIGHTS, parts: Sequence[str] = ("paw", "mouth")
    ) -> ModelRecord:
        return add_model(self.inference, number, "net", Attachment("net.pt", weights), body_parts=parts)

    def add_task(self, recording_id: int = 1, model: int = 7, **columns: Any) -> dict[str, Any]:
        if not self.inference.FacemapModel & {"model_id": model}:
            self.add_model(model)
        key = {**self.world.add_recording(recording_id), "model_id": model}
        self.inference.FacemapInferenceTask.insert1({"task_mode": "trigger", **columns, **key})
        return key

    def add_result(self, key: dict[str, Any]) -> None:
        row = {**key, "inference_completion_time": dt.datetime(2026, 1, 1), "inference_run_duration": 2.5}
        self.inference.FacemapInference.insert1(row | {"total_frame_count": 3}, allow_direct_insert=True)
        points = {name: np.arange(3, dtype=np.float32) for name in ("x_pos", "y_pos", "likelihood")}
        self.inference.BodyPartPosition.insert1({**key, "body_part": "paw", **points}, allow_direct_insert=True)

    def task(self, key: dict[str, Any]) -> TaskRecord:
        found = self.tasks.get(key)
        assert found is not None
        return found


@pytest.fixture
def poses(
    world: World, database_server: DatabaseSettings, once_per_server: Callable[..., Inference]
) -> Iterator[Poses]:
    """The tables of pose inference of `world`, empty."""

    @contextlib.contextmanager
    def make() -> Iterator[Inference]:
        name = world.element.schema.replace("behavior", "inference")
        yield declare_inference(world.database, name, element=world.element)

    found = Poses(world, once_per_server("poses", database_server, make))
    yield found
    found.empty()  # or what it refers to could not be deleted


@pytest.fixture
def database(world: World) -> Database:
    """The connection of `world`; its ledger is empty."""
    return world.database


@pytest.fixture
def connect(world: World) -> Iterator[Callable[[], Database]]:
    """More connections to the same database."""
    opened: list[Database] = []

    def open_another() -> Database:
        opened.append(Database(world.database.settings))
        return opened[-1]

    yield open_another
    for database in opened:
        database.close()


@pytest.fixture
def make_world(database_settings: DatabaseSettings) -> Iterator[Callable[[str], World]]:
    """Declare a lab whose Session has the given key definition."""
    made: list[World] = []

    def make(key: str) -> World:
        made.append(_make_world(database_settings, key))
        return made[-1]

    yield make
    for world in made:
        world.database.close()
