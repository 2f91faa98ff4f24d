"""Keypoints that exist belong to the recording whose video they are called after, and to the model of their folder."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.outputs import OutputEnd
from fmdj_cloud.control.outputs_pose import match_keypoints
from fmdj_cloud.pipeline.recordings import KnownRecording, TaskOutput


def recording(number: int, *paths: str, tasks: tuple[TaskOutput, ...] = ()) -> KnownRecording:
    return KnownRecording({"subject": "m1", "recording_id": number}, paths, tasks)


def match(paths, recordings, models=(7,)):
    return list(match_keypoints("lab", "s3://lab/processed", paths, recordings, models))


def test_the_rule_names_recording_and_model():
    path = "m1/facemap_recordingid3_model8/cam_FacemapPose.h5"
    (line,) = match([path], [recording(2, "m1/cam.avi"), recording(3, "m1/cam.avi")], (7, 8))
    assert (line.end, line.kind, line.output_dir) == (OutputEnd.NEW, Kind.POSE, "m1/facemap_recordingid3_model8")
    assert line.task_text == "subject=m1 recording_id=3 model_id=8"


def test_beside_the_video_the_only_model_is_meant():
    (line,) = match(["m1/cam_FacemapPose.h5"], [recording(1, "/mnt/lab/m1/cam.avi"), recording(2, "m2/cam.avi")])
    assert (line.end, line.task_text) == (OutputEnd.NEW, "subject=m1 recording_id=1 model_id=7")


@pytest.mark.parametrize(("models", "words"), [((7, 8), "several models"), ((), "holds no model")])
def test_which_of_several_models_isn_t_guessed(models, words):
    (line,) = match(["m1/cam_FacemapPose.h5"], [recording(1, "m1/cam.avi")], models)
    assert (line.end, line.task_text) == (OutputEnd.AMBIGUOUS, "")
    assert words in line.sentence


def test_keypoints_of_several_files_are_one_output():
    paths = ["m1/a_FacemapPose.h5", "m1/b_FacemapPose.h5"]
    (line,) = match(paths, [recording(1, "m1/a.avi", "m1/b.avi")])
    assert (line.end, line.uri) == (OutputEnd.NEW, "s3://lab/processed/m1/a_FacemapPose.h5")


@pytest.mark.parametrize("there", ["a", "b"])
def test_those_of_some_files_alone_are_no_output_of_the_recording(there):
    (line,) = match([f"m1/{there}_FacemapPose.h5"], [recording(1, "m1/a.avi", "m1/b.avi")])
    assert line.end is OutputEnd.AMBIGUOUS
    assert "views" in line.sentence


def test_a_recording_that_has_the_task_needs_none():
    known = recording(1, "m1/cam.avi", tasks=(TaskOutput(7, "load", ""),))
    (line,) = match(["m1/facemap_recordingid1_model7/cam_FacemapPose.h5"], [known])
    assert (line.end, line.sentence) == (OutputEnd.KNOWN, "The task with model 7: its outputs are imported.")


@pytest.mark.parametrize("paths", [("m1/a.avi",), ("m1/a.avi", "m1/b.avi")], ids=["one file", "one view of two"])
def test_a_folder_that_a_task_loads_from_is_that_tasks(paths):
    known = recording(1, *paths, tasks=(TaskOutput(8, "load", "/lab/processed/gui/out"),))
    (line,) = match(["gui/out/a_FacemapPose.h5"], [recording(2, "gui/out/a.avi"), known], (7, 8))
    assert (line.end, line.task_text) == (OutputEnd.KNOWN, "subject=m1 recording_id=1 model_id=8")
    assert line.sentence == "The task with model 8: its outputs are imported."


def test_a_second_folder_for_the_same_task_is_ambiguous():
    paths = ["old/cam_FacemapPose.h5", "new/cam_FacemapPose.h5"]
    first, second = match(paths, [recording(1, "raw/cam.avi")])
    assert (first.end, second.end) == (OutputEnd.NEW, OutputEnd.AMBIGUOUS)
    assert "old" in second.sentence


def test_a_name_that_two_recordings_have_is_ambiguous_and_one_that_none_has_unknown():
    recordings = [recording(1, "m1/cam.avi"), recording(2, "m2/cam.avi")]
    ends = [line.end for line in match(["x/cam_FacemapPose.h5", "x/other_FacemapPose.h5"], recordings)]
    assert ends == [OutputEnd.AMBIGUOUS, OutputEnd.UNKNOWN]
