"""A pose task's bbox column says which part of the frames is looked at, and, in a mapping, which files are views."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.contracts import BBox, Kind, ModelFile, ModelRecord
from fmdj_cloud.control.params_pose import check_boxes, parse_pose
from fmdj_cloud.control.places import output_dir
from fmdj_cloud.errors import InputError, InputMissingError
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.settings import PipelineSettings

BOX = BBox(y0=1, y1=9, x0=2, x1=8)
FOUR = ((1, "m1/cam1_a.avi"), (2, "m1/cam2_a.avi"), (3, "m1/cam1_b.avi"), (4, "m1/cam2_b.avi"))
MODEL = ModelRecord(key={"model_id": 7}, name="net", body_parts=BODY_PARTS, files=(ModelFile(name="net.pt"),))


@pytest.fixture
def make_pose(make_task):
    def make(**changes):
        key = {"subject": "m1", "session_id": 1, "recording_id": 5, "model_id": 7}
        values = {"kind": Kind.POSE, "table": "FacemapInferenceTask", "key": key, "task_id": 7, "model": MODEL}
        return make_task(**values | changes)

    return make


@pytest.mark.parametrize("value", [None, [], (), {}, np.array([]), np.zeros((0, 4))])
def test_without_a_box_the_whole_of_all_frames_is_meant(make_pose, value):
    params, grouping, notes = parse_pose(make_pose(bbox=value, files=FOUR))
    assert (params.bbox, params.pose_view, notes) == ((), 0, ())
    assert grouping == ((1,), (2,), (3,), (4,))
    assert params.body_parts == tuple(sorted(BODY_PARTS))
    assert (params.model_uri, params.model_sha256) == ("", "")


@pytest.mark.parametrize(
    "value",
    [
        [1, 9, 2, 8],
        np.array([1, 9, 2, 8]),
        [[1, 9, 2, 8]],
        {"y0": 1, "y1": 9, "x0": 2, "x1": 8},
        {"bbox": [1, 9, 2, 8]},
        {"bbox": {"y0": 1, "y1": 9, "x0": 2, "x1": 8}, "pose_view": 0},
        np.array({"bbox": [[1.0, 9.0, 2.0, 8.0]]}, dtype=object),
    ],
)
def test_one_box_in_every_spelling(make_pose, value):
    assert parse_pose(make_pose(bbox=value))[0].bbox == (BOX,)


def test_views_are_named_beside_the_boxes(make_pose):
    value = {"views": [[1, 2], [3, 4]], "pose_view": np.int64(1), "bbox": [[1, 9, 2, 8], [0, 4, 0, 4]]}
    params, grouping, notes = parse_pose(make_pose(bbox=value, files=FOUR))
    assert grouping == ((1, 2), (3, 4))
    assert params.pose_view == 1
    assert params.bbox == (BOX, BBox(y0=0, y1=4, x0=0, x1=4))
    assert notes == ()


def test_a_file_of_no_view_is_left_out_and_told(make_pose):
    _, grouping, notes = parse_pose(make_pose(bbox={"views": [[1], [3]]}, files=FOUR))
    assert grouping == ((1,), (3,))
    assert notes[0] == "File 2 (m1/cam2_a.avi) is not in bbox['views'] and is left out."


@pytest.mark.parametrize(
    ("value", "check", "words"),
    [
        ([1, 9, 2], "bbox", "should have|boxes for|should be"),
        ([9, 1, 2, 8], "bbox", "rows 9:1 .* empty"),
        ([5, 5, 2, 8], "bbox", "empty"),
        ([1, 9, -2, 8], "bbox", "whole pixels from 0 on"),
        ([1.5, 9, 2, 8], "bbox", "whole pixels"),
        ("all", "bbox", "'all'"),
        (3, "bbox", "is 3"),
        ([[1, 9, 2, 8], [1, 9, 2, 8]], "bbox", r"2 boxes for 1 view\(s\)"),
        ({"bbox": [1, 9, 2, 8], "y0": 1}, "bbox", "bbox has y0 beside bbox"),
        ({"pose_views": 1, "views": [[0]]}, "bbox", "pose_views"),
        ({"box": [1, 9, 2, 8]}, "bbox", "y0, y1, x0 and x1"),
        ({"pose_view": 1}, "pose_view", "is 1 and the recording has 1 view, counted from 0"),
        ({"pose_view": -1}, "pose_view", "is -1"),
        ({"pose_view": True}, "pose_view", "True"),
        ({"views": [[9]]}, "views", r"bbox\['views'\] names file 9"),
        ({"views": "0"}, "views", r"bbox\['views'\] must be a list of lists"),
    ],
)
def test_what_can_t_be_meant_is_refused_in_a_sentence(make_pose, value, check, words):
    with pytest.raises(InputError, match=words) as refused:
        parse_pose(make_pose(bbox=value))
    assert refused.value.check == check
    assert refused.value.sentence.endswith(".")


def test_a_damaged_column_is_refused(make_pose):
    with pytest.raises(InputError, match="can't be read") as refused:
        parse_pose(make_pose(params_problem="bbox can't be read: no blob."))
    assert refused.value.check == "bbox"


def test_a_recording_without_files_is_waited_for(make_pose):
    with pytest.raises(InputMissingError):
        parse_pose(make_pose(files=()))


@pytest.mark.parametrize("model", [None, MODEL.model_copy(update={"body_parts": ()})])
def test_a_model_without_body_parts_finds_nothing(make_pose, model):
    with pytest.raises(InputError, match="FacemapModel") as refused:
        parse_pose(make_pose(model=model))
    assert refused.value.check == "model"


@given(
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    rows=st.tuples(st.integers(0, 60), st.integers(1, 20)),
    columns=st.tuples(st.integers(0, 60), st.integers(1, 20)),
)
def test_a_box_is_refused_exactly_if_it_leaves_its_frame(height, width, rows, columns):
    box = BBox(y0=rows[0], y1=sum(rows), x0=columns[0], x1=sum(columns))
    refusal = pytest.raises(InputError, match="lies outside of its frames")
    with contextlib.nullcontext() if box.y1 <= height and box.x1 <= width else refusal:
        check_boxes((box,), [(height, width)], exact=True)


def test_a_size_that_isn_t_known_refuses_nothing():
    check_boxes((BOX, BOX), [None, (9, 8)], exact=True)


def test_a_container_may_tell_of_frames_that_are_shown_turned():
    tall = BBox(y0=0, y1=60, x0=0, x1=40)
    check_boxes((tall,), [(40, 60)], exact=False)
    with pytest.raises(InputError):
        check_boxes((tall,), [(40, 60)], exact=True)
    with pytest.raises(InputError):
        check_boxes((BBox(y0=0, y1=60, x0=0, x1=50),), [(40, 60)], exact=False)


def test_outputs_go_where_the_element_puts_them(make_pose):
    pipeline = PipelineSettings(
        name="lab", behavior_schema="b", video_roots=("s3://lab/raw",), processed_root="s3://lab/processed"
    )
    assert output_dir(make_pose(), "s3://lab/raw/m1/a.avi", pipeline) == "m1/facemap_recordingid5_model7"
    assert output_dir(make_pose(), "s3://lab/raw/a.avi", pipeline) == "facemap_recordingid5_model7"
