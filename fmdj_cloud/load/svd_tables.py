"""The tables of an SVD run: FacemapProcessing, FacialSignal with its parts, and our own signal tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fmdj_cloud.load.prepare import Prepared
from fmdj_cloud.load.rows import Batch, Shape, Table, processing_row, signal_batches
from fmdj_cloud.load.writing import RowWriter, fill_recording_info, tell_output_dir
from fmdj_cloud.pipeline.inserting import keep_blobs
from fmdj_cloud.pipeline.lab import Lab


def write_svd(lab: Lab, prepared: Prepared, writer: RowWriter) -> None:
    """Write all rows of an SVD run, in the transaction that is open."""
    _write_processing(lab, prepared, writer)
    tell_output_dir(lab, prepared)
    fill_recording_info(lab, prepared, writer)
    _write_signals(lab, prepared, writer)


def _write_processing(lab: Lab, prepared: Prepared, writer: RowWriter) -> None:
    element, key = lab.element, dict(prepared.key)
    processing = processing_row(key, prepared.manifest)
    if element.FacemapProcessing & key:  # without a result: it told of one that was deleted
        element.FacemapProcessing.update1(processing)
    else:
        writer.insert("FacemapProcessing", element.FacemapProcessing, [processing])


def keep_svd(lab: Lab, prepared: Prepared, slice_bytes: int) -> None:
    """Put what the tables of an SVD run keep in an object store there: before the transaction, which stays short."""
    tables = _tables(lab)
    if any(map(lab.kept.keeps, tables.values())):
        for batch in _batches(lab, prepared, slice_bytes):
            keep_blobs(lab.element.database, tables[batch.table], batch.rows, lab.kept)


def _write_signals(lab: Lab, prepared: Prepared, writer: RowWriter) -> None:
    tables = _tables(lab)
    # Without foreign keys into the lab's schema, ours outlive result rows that the lab deleted
    for table in (Table.PUPIL, Table.BLINK, Table.RUNNING):
        (tables[table] & dict(prepared.key)).delete_quick()
    for batch in _batches(lab, prepared, writer.slice_bytes):
        writer.insert(batch.table.value, tables[batch.table], batch.rows)


def _tables(lab: Lab) -> dict[Table, Any]:
    element = lab.element
    return {
        Table.FACIAL_SIGNAL: element.FacialSignal,
        Table.REGION: element.Region,
        Table.MOTION_SVD: element.MotionSVD,
        Table.MOVIE_SVD: element.MovieSVD,
        Table.SUMMARY: element.Summary,
        Table.PUPIL: lab.signals.Pupil,
        Table.BLINK: lab.signals.Blink,
        Table.RUNNING: lab.signals.Running,
    }


def _batches(lab: Lab, prepared: Prepared, slice_bytes: int) -> Iterator[Batch]:
    heading = lab.element.Region.heading
    optional = ("xrange", "yrange", "xrange_bin", "yrange_bin", "motion")
    shape = Shape(lab.element.component, frozenset(name for name in optional if not heading[name].nullable))
    return signal_batches(
        dict(prepared.key), prepared.signals, shape, slice_bytes, max_components=prepared.max_components
    )
