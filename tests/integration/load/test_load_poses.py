"""Published keypoints become rows, once, and only if they are of the task's model."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from fmdj_cloud.contracts import FailureClass, Kind, RunState
from fmdj_cloud.errors import UsageError
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.pipeline.codec import decode
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.pipeline.trajectory import get_trajectory
from tests.integration.load.killing import LOADER, eventually, settings_json
from tests.support.pose.signals import NFRAMES, points

pytestmark = pytest.mark.integration

ALL_ROWS = {"FacemapInference": 1, "BodyPartPosition": 15}
NO_ROWS = dict.fromkeys(ALL_ROWS, 0)


def _fetch(table, restriction) -> list[dict]:
    heading = table().heading
    return [
        {name: decode(heading[name], value) for name, value in row.items()} for row in (table & restriction).to_dicts()
    ]


def test_every_body_part_of_the_view_becomes_a_row(pose) -> None:
    key = pose.insert_task()
    run = pose.publish(key)

    (result,) = pose.loader().run_pass()

    assert (result.end, result.rows) == (LoadEnd.LOADED, {**ALL_ROWS, "RecordingInfo": 1})
    (inference,) = _fetch(pose.inference.FacemapInference, key)
    assert inference["inference_completion_time"] == dt.datetime(2026, 11, 1, 9, 5)
    assert inference["inference_run_duration"] == pytest.approx(12.625)  # of the network's stage, not frames x fps
    assert inference["total_frame_count"] == NFRAMES
    rows = {row["body_part"]: row for row in _fetch(pose.inference.BodyPartPosition, key)}
    assert set(rows) == set(BODY_PARTS)
    for number, part in enumerate(BODY_PARTS):
        for name, values in zip(("x_pos", "y_pos", "likelihood"), points(1, number).T, strict=True):
            assert rows[part][name].dtype == np.float32
            np.testing.assert_array_equal(rows[part][name], values)
    (task,) = _fetch(pose.inference.FacemapInferenceTask, key)
    assert task["facemap_inference_output_dir"] == f"m1/facemap_0/{run.run_id}/a1/n1/facemap/pose"
    (info,) = _fetch(pose.lab.element.RecordingInfo, {"recording_id": key["recording_id"]})
    assert (info["px_height"], info["px_width"], info["nframes"], info["fps"]) == (32, 48, 60, 30)
    assert pose.run(run).state is RunState.LOADED
    assert pose.loader().run_pass() == []
    assert pose.lab.tasks(Kind.POSE).count_pending() == 0


def test_small_slices_load_the_same_rows(pose) -> None:
    key = pose.insert_task()
    pose.publish(key)
    pose.settings = pose.settings.model_copy(update={"load": pose.settings.load.model_copy(update={"slice_mib": 0})})
    assert [result.end for result in pose.loader().run_pass()] == [LoadEnd.LOADED]
    assert pose.rows(key) == ALL_ROWS


def test_other_body_parts_than_the_models_are_refused(pose) -> None:
    key = pose.insert_task()
    run = pose.publish(key, file={"parts": (*BODY_PARTS[1:], "tail")})

    (result,) = pose.loader().run_pass()

    assert result.end is LoadEnd.FAILED
    failed = pose.run(run)
    assert (failed.state, failed.failure_class) == (RunState.FAILED, FailureClass.LOAD)
    assert f"{BODY_PARTS[0]} missing, tail unknown to the model" in failed.sentence
    assert pose.rows(key) == NO_ROWS


def test_what_became_of_the_task_meanwhile_decides(pose) -> None:
    deleted, edited, answered = (pose.insert_task() for _ in range(3))
    for key in (deleted, edited, answered):
        pose.publish(key, content=str(key["recording_id"]))
    tables = pose.inference
    (tables.FacemapInferenceTask & deleted).delete(prompt=False)
    tables.FacemapInferenceTask.update1({**edited, "bbox": [0, 16, 0, 16]})
    theirs = {"inference_completion_time": "2020-01-01", "inference_run_duration": 1, "total_frame_count": 2}
    tables.FacemapInference.insert1(answered | theirs, allow_direct_insert=True)

    results = pose.loader().run_pass()

    assert [result.end for result in results] == [LoadEnd.SUPERSEDED] * 3
    assert [result.sentence.split(";")[0].rstrip(".") for result in results] == [
        "The task was deleted while it was computed",
        "The task's parameters were edited while it was computed",
        "The task has a result that somebody else inserted",
    ]
    assert [pose.rows(key) for key in (deleted, edited)] == [NO_ROWS] * 2
    assert pose.rows(answered) == {"FacemapInference": 1, "BodyPartPosition": 0}


def test_a_loader_killed_between_its_statements_leaves_nothing_and_the_next_one_loads(pose) -> None:
    key = pose.insert_task()
    run = pose.publish(key)
    process = subprocess.Popen([sys.executable, "-c", LOADER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with pose.inserts_blocked(pose.inference.BodyPartPosition.full_table_name):
        assert process.stdin is not None
        process.stdin.write(settings_json(pose))
        process.stdin.close()
        (waiting,) = eventually(lambda: process.poll() is None and pose.sessions_waiting())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    process.stdout.close()
    eventually(lambda: waiting not in pose.sessions())

    assert pose.run(run).state is RunState.PUBLISHED
    assert pose.rows(key) == NO_ROWS
    assert [result.end for result in pose.loader().run_pass()] == [LoadEnd.LOADED]
    assert pose.rows(key) == ALL_ROWS


def test_without_an_inference_schema_in_the_settings_runs_are_left_alone(pose) -> None:
    run = pose.publish(pose.insert_task())
    without = pose.settings.pipelines[0].model_copy(update={"inference_schema": None})
    pose.settings = pose.settings.model_copy(update={"pipelines": (without,)})
    assert pose.loader().run_pass() == []
    assert pose.run(run).state is RunState.PUBLISHED


def test_trajectories_are_those_of_one_recording(pose) -> None:
    first, second = pose.insert_task(), pose.insert_task()
    pose.publish(first, content="first")
    pose.publish(second, content="second", seed=3, nonce="n2")
    assert len(pose.loader().run_pass()) == 2

    table = get_trajectory(pose.inference, second)

    assert table.shape == (NFRAMES, 45)
    assert list(table.columns.names) == ["model", "bodyparts", "coords"]
    assert list(table.columns[:3]) == [
        ("small", "eye(back)", "x"),
        ("small", "eye(back)", "y"),
        ("small", "eye(back)", "likelihood"),
    ]
    assert list(dict.fromkeys(table.columns.get_level_values("bodyparts"))) == sorted(BODY_PARTS)
    assert (table.index.name, list(table.index[:3])) == ("frame", [0, 1, 2])
    assert set(table.dtypes) == {np.dtype(np.float32)}
    for number, part in enumerate(BODY_PARTS):
        np.testing.assert_array_equal(table["small"][part].to_numpy(), points(1, number + 3))
    one = get_trajectory(pose.inference, first, "paw")
    np.testing.assert_array_equal(one["small"]["paw"].to_numpy(), points(1, BODY_PARTS.index("paw")))
    chosen = get_trajectory(pose.inference, first, ["paw", "mouth", "paw"])
    assert list(dict.fromkeys(chosen.columns.get_level_values(1))) == ["paw", "mouth"]
    with pytest.raises(UsageError, match=r"no points of tail, ear: there are those of eye\(back\), "):
        get_trajectory(pose.inference, first, ["tail", "paw", "ear"])
    with pytest.raises(UsageError, match="2 rows of FacemapInference"):
        get_trajectory(pose.inference, {"subject": "m1"})
    with pytest.raises(UsageError, match="no row of FacemapInference"):
        get_trajectory(pose.inference, {**first, "recording_id": 9})
