"""Keypoints become rows."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from fmdj_cloud.load.pose_rows import inference_row, position_batches
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.signals_h5 import SignalsReader
from tests.support.pose import signals

KEY = {"subject": "m1", "session_id": 1, "recording_id": 2, "model_id": 3}


def test_the_inference_tells_when_how_long_and_how_many_frames():
    row = inference_row(KEY, signals.manifest())
    assert row == KEY | {
        "inference_completion_time": dt.datetime(2026, 11, 1, 9, 5),
        "inference_run_duration": 12.625,
        "total_frame_count": 60,
    }


def test_a_duration_that_is_an_integer_in_the_table_is_rounded():
    assert inference_row(KEY, signals.manifest(), whole_seconds=True)["inference_run_duration"] == 13


def test_a_duration_that_nothing_tells_is_zero():
    assert inference_row(KEY, signals.manifest(timings_s={"read": 1.0}))["inference_run_duration"] == 0


@pytest.mark.parametrize("slice_bytes", [1, 2000, 1 << 20])
def test_every_body_part_of_the_view_is_a_row_whatever_the_slices(tmp_path, slice_bytes):
    with SignalsReader(signals.write(tmp_path / "signals.h5")) as reader:
        batches = list(position_batches(KEY, reader, 1, slice_bytes))
    row_bytes = 3 * 4 * signals.NFRAMES
    assert all(len(batch) * row_bytes <= max(slice_bytes, row_bytes) for batch in batches)
    rows = [row for batch in batches for row in batch]
    assert [row["body_part"] for row in rows] == sorted(BODY_PARTS)
    for row in rows:
        assert {name: row[name] for name in KEY} == KEY
        truth = signals.points(1, BODY_PARTS.index(row["body_part"]))
        for name, values in zip(("x_pos", "y_pos", "likelihood"), truth.T, strict=True):
            assert row[name].dtype == np.float32
            np.testing.assert_array_equal(row[name], values)
