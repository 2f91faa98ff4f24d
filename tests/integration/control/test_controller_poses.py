"""Tasks of pose inference beside those of the SVD: planned, run, edited, held, cancelled, explained, recovered."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fmdj_cloud.contracts import BindingState, Kind, RunRecord, RunState
from fmdj_cloud.control.choose import Choice, select_tasks
from fmdj_cloud.control.explain import Explanation, explain
from fmdj_cloud.control.inspect import observe_task, preview, read_logs
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.control.ordering import OrderEnd, Ordering, all_tasks
from fmdj_cloud.control.orders import Order
from fmdj_cloud.control.recover import recover
from fmdj_cloud.control.status import gather_status
from fmdj_cloud.errors import UsageError
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.inference import Inference
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import DatabaseSettings
from tests.support.pose import tables

from .conftest import PIPELINE, World

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """One is enough: what differs between databases is below all this."""
    return postgres_settings


@dataclasses.dataclass
class Poses:
    """A world whose lab has pose inference."""

    world: World
    inference: Inference

    @property
    def ledger(self) -> Ledger:
        return self.world.ledger

    def insert_task(self, model: int = 7, *, upload: bool = True, **columns: Any) -> dict[str, Any]:
        """Insert a recording with one video, known to RecordingInfo, and a task for pose inference."""
        world = self.world
        world.recordings += 1
        if upload:
            world.upload(world.recordings)
        path = f"m1/cam{world.recordings}.avi"
        return tables.insert_task(world.lab.element, self.inference, world.recordings, path, model=model, **columns)

    def edit(self, key: dict[str, Any], **columns: Any) -> None:
        self.inference.FacemapInferenceTask.update1(key | columns)

    def add_result(self, key: dict[str, Any]) -> None:
        tables.add_result(self.inference, key)

    def choice(self, key: dict[str, Any]) -> Choice:
        return Choice(self.world.lab, self.world.lab.tasks(Kind.POSE), key)

    def explained(self, key: dict[str, Any]) -> Explanation:
        return explain(observe_task(self.choice(key), self.ledger, self.world.store, 300))

    def state(self, key: dict[str, Any]) -> str:
        return self.explained(key).state

    def run(self, key: dict[str, Any]) -> RunRecord:
        binding = self.ledger.binding(PIPELINE, Kind.POSE, key)
        assert binding is not None
        run = self.ledger.run(str(binding.run_id))
        assert run is not None
        return run

    def until(self, controller: Controller, key: dict[str, Any], state: str) -> None:
        self.world.pass_until(controller, lambda: self.state(key) == state)


@pytest.fixture
def poses(world: World) -> Iterator[Poses]:
    schema = f"{world.settings.database.prefix}inference"
    inference = tables.declare(world.lab.element, schema)
    pipeline = world.settings.pipelines[0].model_copy(update={"inference_schema": schema})
    world.settings = world.settings.model_copy(update={"pipelines": (pipeline,)})
    world.lab = open_lab(world.database, world.ledger, pipeline)
    return Poses(world, inference)


def test_a_task_is_planned_run_and_published_beside_the_others(poses: Poses) -> None:
    key, other = poses.insert_task(), poses.world.insert_task()
    controller = poses.world.controller()
    poses.until(controller, key, "published")
    poses.world.pass_until(controller, lambda: poses.world.run_of(other).state is RunState.PUBLISHED)
    run = poses.run(key)
    assert (run.kind, run.task_kind, run.task) == (Kind.POSE, Kind.POSE, canonical_key(key))
    report = gather_status(poses.ledger, [poses.world.lab], poses.world.store)
    assert {(line.kind, line.task_kind) for line in report.runs} == {(Kind.POSE,) * 2, (Kind.SVD,) * 2}
    assert report.pipelines[0].by_kind == {"svd": 0, "pose": 0}
    assert read_logs(poses.choice(key), poses.ledger, poses.world.store, None) == "computed"
    poses.add_result(key)
    assert poses.ledger.mark_loaded(run.run_id, run.attempt, str(run.manifest_sha256))
    assert poses.state(key) == "done"


@pytest.mark.parametrize(
    ("change", "why"),
    [("bbox", "edited"), ("weights", "edited"), ("deletion", "deleted"), ("result", "isn't ours")],
)
def test_a_run_is_superseded_when_its_task_changes(
    poses: Poses, eventually: Callable[..., Any], change: str, why: str
) -> None:
    world = poses.world
    world.workers.behave("wait", "publish")
    key = poses.insert_task()
    controller = world.controller()
    poses.until(controller, key, "launched")
    run = poses.run(key)
    if change == "bbox":
        poses.edit(key, bbox=[0, 10, 0, 20])
    elif change == "weights":
        table = poses.inference.ModelFile.full_table_name
        world.database.execute(f"UPDATE {table} SET model_file = %s", (b"net.pt\0other weights",))
    elif change == "deletion":
        (poses.inference.FacemapInferenceTask & key).delete(prompt=False)
    else:
        poses.add_result(key)

    def found() -> RunRecord:
        now = poses.ledger.run(run.run_id)
        assert now is not None
        return now

    world.pass_until(controller, lambda: found().state is RunState.SUPERSEDED)
    assert why in found().sentence
    if change in ("bbox", "weights"):
        world.workers.release()
        poses.until(controller, key, "published")
        assert poses.run(key).run_id != run.run_id
    if change == "bbox":
        assert poses.ledger.plan_of(poses.run(key).run_id).pose.bbox[0].x1 == 20  # type: ignore[union-attr]


def test_a_task_that_was_refused_is_planned_once_it_is_edited(poses: Poses) -> None:
    poses.inference.FacemapModel.insert1({"model_id": 8, "model_name": "empty"})
    poses.inference.ModelBodyPart.insert({"model_id": 8, "body_part": part} for part in BODY_PARTS)
    key = poses.insert_task(8)
    controller = poses.world.controller()
    poses.until(controller, key, "refused")
    assert "empty" in poses.explained(key).why
    assert poses.ledger.bindings(PIPELINE, Kind.SVD) == []
    poses.world.database.execute(
        f"INSERT INTO {poses.inference.ModelFile.full_table_name} (model_id, model_file) VALUES (8, %s)",
        (b"empty.pt\0weights",),
    )
    poses.until(controller, key, "published")


def test_people_hold_release_cancel_and_retry_tasks(poses: Poses) -> None:
    key, other = poses.insert_task(), poses.world.insert_task()
    ordering, choice = Ordering(poses.ledger, "somebody"), poses.choice(key)
    assert ordering.obey(Order.HOLD, choice).end is OrderEnd.DONE
    controller = poses.world.controller()
    poses.world.pass_until(controller, lambda: poses.world.run_of(other).state is RunState.PUBLISHED)
    assert poses.state(key) == "held"
    assert [one.key for one in all_tasks(poses.world.lab, poses.ledger, Order.RELEASE)] == [key]
    assert ordering.obey(Order.RELEASE, choice).kind is Kind.POSE
    assert ordering.prioritise(choice, -5).end is OrderEnd.DONE
    poses.world.workers.behave("wait")
    poses.until(controller, key, "launched")
    assert poses.run(key).priority == -5
    assert ordering.obey(Order.CANCEL, choice).end is OrderEnd.DONE
    poses.until(controller, key, "cancelled")
    poses.world.workers.behave("publish")
    assert ordering.retry(choice, recompute=True).end is OrderEnd.DONE
    poses.until(controller, key, "published")
    assert poses.run(key).attempt == 2
    poses.add_result(key)
    sentence = ordering.retry(choice).sentence
    assert "published" in sentence or "FacemapInference" in sentence


def test_a_key_names_tasks_of_the_tables_that_have_its_attributes(poses: Poses) -> None:
    pose, svd = poses.insert_task(), poses.world.insert_task()
    labs, ledger = (poses.world.lab,), poses.ledger

    def keys(restriction: dict[str, Any], kind: Kind | None = None) -> list[dict[str, Any]]:
        return [choice.key for choice in select_tasks(labs, ledger, restriction, kind)]

    assert keys({"subject": "m1"}) == [svd, pose]
    assert keys({"subject": "m1"}, Kind.POSE) == keys({"model_id": "7"}) == keys(pose) == [pose]
    assert keys({"facemap_task_id": 0}) == keys(svd) == [svd]
    with pytest.raises(UsageError, match="FacemapTask or FacemapInferenceTask has no attribute 'modelid'"):
        keys({"modelid": 7})
    with pytest.raises(UsageError, match="Neither FacemapTask nor FacemapInferenceTask has all of"):
        keys({"model_id": 7, "facemap_task_id": 0})
    with pytest.raises(UsageError, match="FacemapTask has no attribute 'model_id'"):
        keys({"model_id": 7}, Kind.SVD)
    with pytest.raises(UsageError, match="No task matches"):
        keys({"subject": "m2"})


def test_a_run_id_names_its_task_in_whichever_table(poses: Poses) -> None:
    key = poses.insert_task()
    controller = poses.world.controller()
    poses.until(controller, key, "published")
    (choice,) = select_tasks([poses.world.lab], poses.ledger, {"run_id": poses.run(key).run_id})
    assert (choice.tasks.kind, choice.key) == (Kind.POSE, key)


def test_a_plan_on_paper_shows_both_or_one_table(poses: Poses) -> None:
    poses.world.insert_task()
    key = poses.insert_task()
    world = poses.world
    report = preview(world.lab, poses.ledger, world.store, world.settings, None, 10)
    assert (report.pending, len(report.lines)) == (2, 2)
    report = preview(world.lab, poses.ledger, world.store, world.settings, None, 10, kind=Kind.POSE)
    (line,) = report.lines
    assert (report.pending, line.task) == (1, key)
    assert str(line.run_id).startswith("pose-")
    assert line.estimate is not None
    assert line.estimate.frames == tables.FRAMES


def test_a_task_waits_for_its_video_like_any_other(poses: Poses) -> None:
    key = poses.insert_task(upload=False)
    controller = poses.world.controller()
    controller.run_pass()
    report = gather_status(poses.ledger, [poses.world.lab], poses.world.store)
    (line,) = report.bindings
    assert (line.kind, line.state, line.task) == (Kind.POSE, BindingState.WAITING, key)
    assert poses.state(key) == "waiting"


def test_runs_of_a_table_that_the_settings_name_no_more_wait(poses: Poses) -> None:
    key = poses.insert_task()
    world = poses.world
    poses.until(world.controller(world.with_controller(max_active=0)), key, "ready")
    without = world.settings.pipelines[0].model_copy(update={"inference_schema": None})
    controller = world.controller(world.settings.model_copy(update={"pipelines": (without,)}))
    assert controller.drain(timeout=10)
    assert world.workers.starts() == []
    assert poses.state(key) == "ready"
    poses.until(world.controller(), key, "published")


def test_a_lost_ledger_is_rebuilt_with_the_runs_of_both_tables(poses: Poses) -> None:
    world, key = poses.world, poses.insert_task()
    other = world.insert_task()
    controller = world.controller()
    poses.until(controller, key, "published")
    world.pass_until(controller, lambda: world.run_of(other).state is RunState.PUBLISHED)
    before = {poses.run(key).run_id, world.run_of(other).run_id}
    world.forget_leader()
    schema = world.database.ledger_schema
    for table in ("run__job", "run__attempt", "run", f"{PIPELINE}_binding_svd", f"{PIPELINE}_binding_pose"):
        world.database.execute(f"DELETE FROM {world.database.quote(schema, table)}")
    lines = recover(
        world.lab, poses.ledger, world.store, world.make_launcher(world.settings), world.settings, write=True
    )
    assert {(line.run_id, line.state) for line in lines} == {(run_id, RunState.PUBLISHED) for run_id in before}
    assert poses.run(key).task_kind is Kind.POSE
    assert poses.state(key) == "published"
