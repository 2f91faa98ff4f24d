"""The Element's tables of pose inference, declared and opened as they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fmdj_cloud.contracts import Kind
from fmdj_cloud.errors import ConfigError, UsageError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import open_element
from fmdj_cloud.pipeline.inference import declare_inference, open_inference
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.settings import PipelineSettings

from .conftest import SUBJECT_KEY, Poses, World

pytestmark = pytest.mark.integration
Connect = Callable[[], Database]

RECORDING = ("subject", "recording_id")
NAMES = {
    "BodyPart": (("body_part",), ("body_part_description",)),
    "FacemapModel": (("model_id",), ("model_name", "model_description")),
    "ModelBodyPart": (("model_id", "body_part"), ()),
    "ModelFile": (("model_id",), ("model_file",)),
    "FacemapInferenceTask": (
        (*RECORDING, "model_id"),
        ("facemap_inference_output_dir", "task_description", "task_mode", "bbox"),
    ),
    "FacemapInference": (
        (*RECORDING, "model_id"),
        ("inference_completion_time", "inference_run_duration", "total_frame_count"),
    ),
    "BodyPartPosition": ((*RECORDING, "model_id", "body_part"), ("x_pos", "y_pos", "likelihood")),
}
"""Keys and other attributes, as element-facemap 0.3.0 has them."""


def test_names_and_keys_are_the_elements(poses: Poses) -> None:
    found = {
        name: (tuple(table.primary_key), tuple(table.heading.secondary_attributes))
        for name in NAMES
        for table in [getattr(poses.inference, name)]
    }
    assert found == NAMES


def test_body_parts_are_there_from_the_start(poses: Poses) -> None:
    parts = set(poses.inference.BodyPart().to_arrays("body_part"))
    assert len(parts) == 15
    assert {"eye(back)", "lowerlip", "nose(r)", "nosebridge", "paw", "whisker(III)"} <= parts


def test_rows_come_back_as_they_went_and_go_with_their_task(poses: Poses) -> None:
    kept, gone = poses.add_task(1, bbox=[0, 10, 5, 20]), poses.add_task(2)
    for key in (kept, gone):
        poses.add_result(key)
    tables = poses.inference
    joined = (tables.FacemapInference * tables.BodyPartPosition & kept).fetch1()
    np.testing.assert_array_equal(joined["x_pos"], np.arange(3, dtype=np.float32))
    assert (joined["inference_run_duration"], joined["total_frame_count"]) == (2.5, 3)
    assert list((tables.FacemapInferenceTask & kept).fetch1("bbox")) == [0, 10, 5, 20]
    assert (tables.FacemapInferenceTask & gone).fetch1("bbox") is None
    (tables.FacemapInferenceTask & gone).delete(prompt=False)
    assert len(tables.BodyPartPosition()) == 1


def test_declaring_twice_changes_nothing(poses: Poses) -> None:
    key = poses.add_task()
    again = declare_inference(poses.world.database, poses.inference.schema, element=poses.world.element)
    assert len(again.FacemapInferenceTask & key) == 1
    assert len(again.BodyPart()) == 15


def test_populate_sees_tasks_with_files_and_says_who_fills_the_table(poses: Poses) -> None:
    key = poses.add_task()
    assert len(poses.inference.FacemapInference().key_source) == 0
    recording = {name: key[name] for name in RECORDING}
    poses.world.element.VideoFile.insert1({**recording, "file_id": 0, "file_path": "v.avi"})
    with pytest.raises(UsageError, match="FacemapInference is not filled by populate"):
        poses.inference.FacemapInference.populate()


def test_they_are_opened_by_another_connection_with_the_recordings_or_alone(poses: Poses, connect: Connect) -> None:
    key = poses.add_task()
    poses.add_result(key)
    database = connect()
    element = open_element(database, poses.world.element.schema)
    found = open_inference(database, poses.inference.schema, element=element)
    assert found.output_dir == "facemap_inference_output_dir"
    assert len(found.FacemapInferenceTask - found.FacemapInference) == 0
    assert len(found.FacemapInferenceTask * element.VideoRecording & key) == 1


def test_the_older_name_of_the_output_directory_is_recognised(make_world, database_settings) -> None:
    world = make_world(SUBJECT_KEY)
    name = f"{database_settings.prefix}inference"
    task = declare_inference(world.database, name, element=world.element).FacemapInferenceTask
    sql = f"ALTER TABLE {task.full_table_name} RENAME COLUMN facemap_inference_output_dir TO facemap_output_dir"
    world.database.execute(sql)
    other = Database(database_settings)
    element = open_element(other, world.element.schema)
    assert open_inference(other, name, element=element).output_dir == "facemap_output_dir"
    other.close()


def settings_of(world: World, inference: str | None) -> PipelineSettings:
    return PipelineSettings(
        name="lab",
        behavior_schema=world.element.schema,
        inference_schema=inference,
        video_roots=("s3://v",),
        processed_root="s3://p",
    )


def test_a_pipeline_without_pose_inference_has_one_task_table(world: World) -> None:
    world.add_task()
    lab = open_lab(world.database, world.ledger, settings_of(world, None))
    assert [tasks.name for tasks in lab.tables] == ["FacemapTask"]
    assert (lab.inference, lab.kinds, lab.count_pending()) == (None, {Kind.SVD}, 1)
    with pytest.raises(ConfigError, match="'lab' has no pose tasks: set its inference_schema"):
        lab.tasks(Kind.POSE)


@pytest.mark.parametrize("what", ["nowhere", "behavior", "incomplete"])
def test_a_schema_that_is_none_of_pose_inference_is_named(poses: Poses, what: str) -> None:
    world = poses.world
    database = world.database
    name = {"nowhere": "no_such_schema", "behavior": world.element.schema}.get(what, f"{poses.inference.schema}_part")
    if what == "incomplete":
        database.execute(f"CREATE SCHEMA {database.identifier(name)}")
    before = database.tables(name)
    with pytest.raises(ConfigError) as raised:
        open_lab(database, world.ledger, settings_of(world, name))
    assert repr(name) in raised.value.sentence
    assert "inference_schema" in raised.value.sentence
    assert database.tables(name) == before


def test_schemas_that_don_t_belong_together_are_told_apart(poses: Poses, make_world) -> None:
    other = make_world("mouse : int32")
    with pytest.raises(ConfigError, match="do both schemas belong together"):
        open_inference(other.database, poses.inference.schema, element=other.element)
