"""``fmdj`` where a lab has pose inference: whose tasks a KEY means, rights, verdicts."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import SecretStr

from fmdj_cloud.contracts import Kind
from fmdj_cloud.errors import DatabaseError
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.inference import Inference
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from tests.support.pose import tables

from .conftest import Answer, Site, opened

pytestmark = pytest.mark.integration


@dataclass
class Poses:
    """A site whose lab has pose inference."""

    site: Site
    inference: Inference

    def insert_task(self, **columns: Any) -> dict[str, Any]:
        world = self.site.world
        svd = world.insert_task()  # brings the recording and its video
        return tables.insert_task(world.lab.element, self.inference, svd["recording_id"], **columns)


@pytest.fixture
def poses(site: Site, run_fmdj: Callable[..., Answer]) -> Iterator[Poses]:
    world, element = site.world, site.world.lab.element
    inference = tables.declare(element, f"{element.schema}_poses")
    pipeline = world.settings.pipelines[0].model_copy(update={"inference_schema": inference.schema})
    settings = world.settings.model_copy(update={"pipelines": (pipeline,)})
    lab = open_lab(world.database, world.ledger, pipeline)
    with opened(replace(world, settings=settings, lab=lab), run_fmdj) as found:
        yield Poses(found, inference)
    tables.empty(inference)


def test_status_and_plan_tell_the_tables_apart(poses: Poses) -> None:
    key = poses.insert_task()
    (line,) = poses.site.order("status")["pipelines"]
    assert (line["pending"], line["by_kind"]) == (2, {"svd": 1, "pose": 1})
    assert "2 (1 svd, 1 pose)" in poses.site.run("status").out
    (planned,) = poses.site.order("plan", "--kind", "pose")["lab"]["lines"]
    assert (planned["task"], planned["run_id"][:5]) == (key, "pose-")
    assert len(poses.site.order("plan")["lab"]["lines"]) == 2


def test_a_key_that_fits_both_tables_means_both_unless_the_kind_is_named(poses: Poses) -> None:
    poses.insert_task()
    assert [one["kind"] for one in poses.site.order("hold", "subject=m1", "--yes")] == ["svd", "pose"]
    assert poses.site.run("hold", "subject=m1").code == 2
    (released,) = poses.site.order("release", "subject=m1", "--kind", "pose")
    assert (released["kind"], released["end"]) == ("pose", "done")
    assert [one["state"] for one in poses.site.order("explain", "recording_id=1")] == ["held", "pending"]
    (explained,) = poses.site.order("explain", "recording_id=1", "model_id=7")
    assert explained["kind"] == "pose"
    assert [one["kind"] for one in poses.site.order("cancel", "--all", "--yes", "-k", "pose")] == ["pose"]
    answer = poses.site.run("explain", "modelid=7")
    assert answer.code == 2
    assert "FacemapTask or FacemapInferenceTask has no attribute 'modelid'" in answer.err
    assert "a key of FacemapInferenceTask is made of subject, session_id, recording_id, model_id" in answer.err


def test_a_kind_that_no_pipeline_has_is_told(site: Site) -> None:
    site.world.insert_task()
    answer = site.run("explain", "subject=m1", "--kind", "pose")
    assert answer.code == 2
    assert "No pipeline here has pose tasks: set its inference_schema" in answer.err


def test_a_schema_that_isn_t_there_stops_every_command_with_its_name(site: Site) -> None:
    settings = site.world.settings
    pipeline = settings.pipelines[0].model_copy(update={"inference_schema": "no_such_schema"})
    changed = replace(site.world, settings=settings.model_copy(update={"pipelines": (pipeline,)}))
    with opened(changed, site.run) as broken:
        answer = broken.run("status")
        assert answer.code == 20
        assert "'no_such_schema'" in answer.err
        found = {one["check"]: one for one in broken.run("doctor", "-o", "json").json}["pipeline lab"]
        assert found["verdict"] == "fail"
        assert "'no_such_schema'" in found["found"]


def test_doctor_looks_at_the_models(poses: Poses) -> None:
    def finding() -> dict[str, Any]:
        return {one["check"]: one for one in poses.site.run("doctor", "-o", "json").json}["models of lab"]

    assert finding()["verdict"] == "ok"
    assert "has 1 model with all they need" in finding()["found"]
    poses.inference.FacemapModel.insert1({"model_id": 8, "model_name": "bare"})
    assert finding()["verdict"] == "warn"
    assert finding()["found"] == "Model model_id=8 has no body parts. Model model_id=8 has no file."


@pytest.fixture
def make_user(poses: Poses) -> Iterator[Callable[[str], Settings]]:
    """Creates database users with the rights that ``fmdj grants`` prints for a program."""
    made: list[str] = []
    site, admin = poses.site, poses.site.world.database

    def make(program: str) -> Settings:
        name = f"t{uuid.uuid4().hex[:10]}"
        admin.execute(
            f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'secret'"
            if admin.backend == "postgresql"
            else f"CREATE USER '{name}'@'%' IDENTIFIED BY 'secret'"
        )
        made.append(name)
        for statement in site.run("grants", program, "--user", name, "-o", "json").json[program]["sql"]:
            admin.execute(statement.rstrip(";"))
        database = site.world.settings.database.model_copy(update={"user": name, "password": SecretStr("secret")})
        return site.world.settings.model_copy(update={"database": database})

    yield make
    while site.databases:
        site.databases.pop().close()
    for name in made:
        if admin.backend == "postgresql":
            admin.execute(f'DROP OWNED BY "{name}"')
            admin.execute(f'DROP ROLE "{name}"')
        else:
            admin.execute(f"DROP USER '{name}'@'%'")


def test_the_controller_needs_no_more(poses: Poses, make_user: Callable[[str], Settings]) -> None:
    key = poses.insert_task(bbox=[0, 10, 0, 20])
    site = poses.site
    controller = site.controller(make_user("controller"))
    controller.run_pass()
    binding = site.world.ledger.binding("lab", Kind.POSE, key)
    assert binding is not None
    assert str(binding.run_id).startswith("pose-"), binding.sentence
    for table in (poses.inference.FacemapInferenceTask, poses.inference.ModelFile, poses.inference.FacemapInference):
        with pytest.raises(DatabaseError):
            controller._database.execute(f"DELETE FROM {table.full_table_name}")


@pytest.mark.parametrize("program", ["loader", "populate"])
def test_whoever_loads_may_do_what_it_takes_and_no_more(
    poses: Poses, make_user: Callable[[str], Settings], program: str
) -> None:
    key = poses.insert_task()
    database = Database(make_user(program).database)
    poses.site.databases.append(database)
    lab = open_lab(database, Ledger(database), poses.site.world.settings.pipelines[0])
    tasks, inference = lab.tasks(Kind.POSE), lab.inference
    assert inference is not None
    with database.transaction():
        assert set(tasks.param_digests([key], lock=True)) == {canonical_key(key)}
        inference.FacemapInferenceTask.update1({**key, tasks.output_dir: "m1/out"})
        tables.add_result(inference, key)
        points = {name: [0.5] for name in ("x_pos", "y_pos", "likelihood")}
        inference.BodyPartPosition.insert1({**key, "body_part": "paw", **points}, allow_direct_insert=True)
    assert tasks.has_result([key])
    for statement in (
        f"DELETE FROM {inference.FacemapInference.full_table_name}",
        f"UPDATE {inference.FacemapInferenceTask.full_table_name} SET task_mode = 'load'",
        f"DELETE FROM {inference.FacemapModel.full_table_name}",
    ):
        with pytest.raises(DatabaseError):
            database.execute(statement)
        with contextlib.suppress(DatabaseError):
            database.execute("ROLLBACK")


def test_grants_and_doctor_agree(poses: Poses) -> None:
    found = {one["check"]: one for one in poses.site.run("doctor", "-o", "json").json}
    assert found["grants"]["found"] == "This user may be: controller, loader, populate, cli."
    sql = poses.site.run("grants", "-o", "json").json["loader"]["sql"]
    assert any("UPDATE (facemap_inference_output_dir)" in one for one in sql)
    assert any("INSERT" in one and "__facemap_inference__body_part_position" in one for one in sql)


def test_the_policies_cover_models_wherever_they_are(poses: Poses, run_fmdj: Callable[..., Answer]) -> None:
    world = poses.site.world
    stores = {"models": "s3://models/place"}
    pipeline = world.settings.pipelines[0].model_copy(update={"stores": stores})
    settings = world.settings.model_copy(update={"pipelines": (pipeline,)})
    with opened(replace(world, settings=settings), run_fmdj) as site:
        policies = {name: one["policy"] for name, one in site.run("grants", "-o", "json").json.items()}
    for name in ("controller", "worker", "populate"):
        assert "arn:aws:s3:::models/place/*" in json.dumps(policies[name])
    assert "arn:aws:s3:::models" not in json.dumps(policies["loader"])
    (write,) = [one for one in policies["populate"]["Statement"] if one["Sid"] == "Write"]
    assert any(resource.endswith("/processed/.fmdj/models/*") for resource in write["Resource"])
