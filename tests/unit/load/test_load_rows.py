"""Signals become rows."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from fmdj_cloud.load.rows import Shape, Table, processing_row, recording_info_row, signal_batches
from fmdj_cloud.load.slices import component_slices
from fmdj_cloud.signals_h5 import SignalsReader

SHAPE = Shape()
KEY = {"subject": "m1", "session_id": 1, "recording_id": 2, "facemap_task_id": 3}


def _rows(signals: SignalsReader, shape: Shape = SHAPE, slice_bytes: int = 1 << 20) -> dict[Table, list[dict]]:
    rows = defaultdict(list)
    for batch in signal_batches(KEY, signals, shape, slice_bytes):
        rows[batch.table] += batch.rows
    return rows


def test_every_table_gets_its_rows_masters_first(signals) -> None:
    rows = _rows(signals)

    assert {table: len(found) for table, found in rows.items()} == {
        Table.FACIAL_SIGNAL: 1,
        Table.REGION: 5,
        Table.MOTION_SVD: 14,
        Table.MOVIE_SVD: 14,
        Table.SUMMARY: 1,
        Table.PUPIL: 1,
        Table.BLINK: 1,
        Table.RUNNING: 1,
    }
    assert list(rows)[:2] == [Table.FACIAL_SIGNAL, Table.REGION]
    assert all(row | KEY == row for found in rows.values() for row in found)


def test_components_are_numbered_from_0_with_their_mask_and_their_projection(signals) -> None:
    rows = [row for row in _rows(signals)[Table.MOTION_SVD] if row["roi_no"] == 1]

    masks, projections = signals.components(1, "mot", 0, 7)
    assert [row["component_id"] for row in rows] == list(range(7))
    assert [row["singular_value"] for row in rows] == [7, 6, 5, 4, 3, 2, 1]
    for row, mask, projection in zip(rows, masks, projections, strict=True):
        assert row["motmask"].shape == (4, 6)
        assert row["projection"].shape == (60,)
        np.testing.assert_array_equal(row["motmask"], mask)
        np.testing.assert_array_equal(row["projection"], projection)


def test_a_singular_value_that_is_not_known_is_null(signals) -> None:
    rows = _rows(signals)[Table.MOVIE_SVD]

    assert {row["singular_value"] for row in rows} == {None}
    assert {"movmask", "projection"} < set(rows[0])


def test_regions_hold_pixels_and_motion_where_they_have_it(signals) -> None:
    full, roi, pupil, *_ = _rows(signals)[Table.REGION]

    assert (full["roi_no"], full["roi_name"]) == (0, "FullSVD")
    np.testing.assert_array_equal(roi["xrange"], np.arange(24))
    np.testing.assert_array_equal(roi["yrange_bin"], np.arange(4))
    np.testing.assert_array_equal(roi["motion"], signals.motion(1))
    assert pupil["motion"] is None
    assert pupil["xrange_bin"] is None


def test_an_older_element_gets_its_component_name_and_empty_arrays(signals) -> None:
    shape = Shape("pc_no", frozenset({"xrange", "yrange", "xrange_bin", "yrange_bin", "motion"}))

    rows = _rows(signals, shape)

    assert "pc_no" in rows[Table.MOTION_SVD][0]
    pupil = rows[Table.REGION][2]
    assert (pupil["motion"].shape, pupil["motion"].dtype) == ((0,), np.float32)
    assert pupil["xrange_bin"].shape == (0,)


def test_eye_and_running_traces_keep_their_region_number(signals) -> None:
    rows = _rows(signals)

    assert rows[Table.PUPIL][0]["roi_no"] == 2
    np.testing.assert_array_equal(rows[Table.PUPIL][0]["axdir"], signals.pupil(2)["axdir"])
    assert rows[Table.BLINK][0]["roi_no"] == 3
    np.testing.assert_array_equal(rows[Table.BLINK][0]["trace"], signals.blink(3))
    assert rows[Table.RUNNING][0]["roi_no"] == 4
    assert rows[Table.RUNNING][0]["displacement"].shape == (60, 2)


@pytest.mark.parametrize("slice_bytes", [1, 700, 3000, 1 << 20])
def test_slices_bound_memory_and_change_nothing(signals, slice_bytes: int) -> None:
    row_bytes = 4 * (12 * 8 + 60)

    batches = list(signal_batches(KEY, signals, Shape(), slice_bytes))

    for batch in batches:
        if batch.table is Table.MOTION_SVD:
            nbytes = sum(row["motmask"].nbytes + row["projection"].nbytes for row in batch.rows)
            assert nbytes <= max(slice_bytes, row_bytes)
    joined = [row for batch in batches for row in batch.rows if batch.table is Table.MOTION_SVD]
    whole = _rows(signals)[Table.MOTION_SVD]
    assert [(row["roi_no"], row["component_id"]) for row in joined] == [
        (row["roi_no"], row["component_id"]) for row in whole
    ]
    for one, other in zip(joined, whole, strict=True):
        np.testing.assert_array_equal(one["motmask"], other["motmask"])


def test_component_slices_cover_all_components_once(signals) -> None:
    parts = list(component_slices(signals, 0, "mot", 3 * 4 * (8 * 12 + 60)))

    assert [part.start for part in parts] == [0]
    assert sum(len(part.masks) for part in parts) == 7


def test_component_slices_end_where_the_file_s_chunks_do(tmp_path, make) -> None:
    rng = np.random.default_rng(0)
    path = make.write(tmp_path / "more.h5", masks=make.unit_masks(rng, 8, 12, 27), skip=(1,))
    row_bytes = 4 * (8 * 12 + 60)
    with SignalsReader(path) as signals:
        for slice_bytes, starts in ((1, [0, 8, 16, 24]), (19 * row_bytes, [0, 16]), (99 * row_bytes, [0])):
            assert [part.start for part in component_slices(signals, 0, "mot", slice_bytes)] == starts
        assert [len(part.masks) for part in component_slices(signals, 0, "mot", 1, most=10)] == [8, 2]
        assert [len(part.masks) for part in component_slices(signals, 0, "mot", 1, most=100)] == [8, 8, 8, 3]


def test_only_the_first_components_become_rows_where_fewer_are_wanted(signals) -> None:
    rows = [
        row
        for batch in signal_batches(KEY, signals, Shape(), 1 << 20, max_components=3)
        for row in batch.rows
        if batch.table is Table.MOTION_SVD
    ]
    assert [(row["roi_no"], row["component_id"]) for row in rows] == [(roi, n) for roi in (0, 1) for n in range(3)]
    np.testing.assert_array_equal(rows[2]["projection"], signals.components(0, "mot", 2, 3)[1][0])
    assert rows[2]["projection"].dtype == np.float32


def test_a_region_without_components_has_no_slices(signals) -> None:
    assert not list(component_slices(signals, 2, "mot", 1000))


def test_processing_says_when_and_by_which_facemap(make) -> None:
    row = processing_row(KEY, make.manifest(versions={"facemap": "1.0.9.dev3+g12345678"}))

    assert row == KEY | {
        "processing_time": dt.datetime(2026, 11, 1, 9, 5, 0),
        "package_version": "1.0.9.dev3+g1234",
    }


def test_recording_info_is_what_the_worker_found(make) -> None:
    row = recording_info_row({"recording_id": 2}, make.manifest())

    assert row == {
        "recording_id": 2,
        "px_height": 32,
        "px_width": 48,
        "nframes": 60,
        "fps": 30,
        "recording_duration": pytest.approx(60 / 29.97),
    }


def test_no_recording_info_is_made_up_where_the_videos_say_no_rate(make) -> None:
    view = make.manifest().views[0].model_copy(update={"fps": 0.0})

    assert recording_info_row({}, make.manifest(views=(view,))) is None
    assert recording_info_row({}, make.manifest(views=())) is None


def test_rows_without_regions_are_the_master_and_the_summary(tmp_path: Path, make) -> None:
    with SignalsReader(make.write(tmp_path / "s.h5", skip=range(5))) as reader:
        assert set(_rows(reader)) == {Table.FACIAL_SIGNAL, Table.SUMMARY}
