"""Tasks of pose inference from the lab's row to its results: keypoints that Facemap found elsewhere, and our own."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import Kind, Manifest, RunState
from fmdj_cloud.control.outputs import OutputEnd
from fmdj_cloud.control.scan import find_outputs, insert_tasks
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.worker.pose.model import facemap_parts, read_model
from tests.support.pose import models, videos
from tests.support.pose.oracle import Oracle, assert_equal

pytestmark = pytest.mark.integration


class Found:
    """A video, a model, and what Facemap finds with it."""

    def __init__(self, folder: Path) -> None:
        self.model = models.save(folder / "model.pt")
        self.video = videos.write(folder / "cam.avi", videos.pictures(12, 120, 160))
        oracle = Oracle(folder, read_model(self.model, facemap_parts()))
        self.points = oracle.points(self.video)
        self.keypoints = folder / "videos" / "cam_FacemapPose.h5"
        self.metadata = folder / "videos" / "cam_FacemapPose_metadata.pkl"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return Found(tmp_path_factory.mktemp("found"))


@pytest.fixture
def ready(world, found):
    world.upload(found.video, "raw/m1/cam.avi")
    world.add_model(found.model.read_bytes())
    return world


def loaded(world, key: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    """Return the row of FacemapInference, and the points, in the order of Facemap's list."""
    (result,) = world.load()
    assert result.end is LoadEnd.LOADED, result.sentence
    (row,) = (world.inference.FacemapInference & key).to_dicts()
    rows = {row["body_part"]: row for row in (world.inference.BodyPartPosition & key).to_dicts()}
    assert set(rows) == set(facemap_parts())
    columns = ("x_pos", "y_pos", "likelihood")
    return row, np.stack([np.stack([rows[part][name] for name in columns], -1) for part in facemap_parts()], 1)


def test_keypoints_that_exist_are_found_and_imported(ready, found) -> None:
    folder = "m1/facemap_recordingid5_model7"
    recording = ready.insert_recording("m1/cam.avi")
    uri = ready.upload(found.keypoints, f"processed/{folder}/cam_FacemapPose.h5")
    ready.upload(found.metadata, f"processed/{folder}/cam_FacemapPose_metadata.pkl")
    ready.upload(found.keypoints, "processed/m1/pose-0123456789abcdef/a1/pod/facemap/pose/cam_FacemapPose.h5")

    lines = find_outputs(ready.lab, ready.store, f"{ready.bucket}/processed")
    assert [(line.end, line.kind, line.output_dir) for line in lines] == [(OutputEnd.NEW, Kind.POSE, folder)]
    assert insert_tasks(ready.lab, lines) == 1
    key = {**recording, "model_id": 7}
    task = ready.task(key)
    assert (task.mode, task.output_dir, task.bbox) == ("load", folder, None)
    (again,) = find_outputs(ready.lab, ready.store, f"{ready.bucket}/processed")
    assert again.end is OutputEnd.KNOWN

    ready.settle()
    run = ready.run(key)
    assert (run.state, run.kind, run.task_kind) == (RunState.PUBLISHED, Kind.IMPORT, Kind.POSE), run.sentence
    row, points = loaded(ready, key)
    np.testing.assert_array_equal(points, found.points)
    assert row["total_frame_count"] == 12
    assert row["inference_run_duration"] > 0  # as the metadata say
    data = ready.store.get_bytes(f"{run.output_dir}/a1/manifest.json", max_bytes=1 << 24)
    assert Manifest.model_validate_json(data).gui_file == uri


def test_a_task_is_computed_with_the_model_in_the_database(ready, found) -> None:
    key = ready.insert_task("m1/cam.avi")
    began = dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)
    ready.settle()
    run = ready.run(key)
    assert (run.state, run.kind) == (RunState.PUBLISHED, Kind.POSE), run.sentence
    row, points = loaded(ready, key)
    assert_equal(points, found.points)
    assert row["inference_completion_time"] >= began
