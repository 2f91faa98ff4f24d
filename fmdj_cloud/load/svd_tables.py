"""The tables of an SVD run: FacemapProcessing, FacialSignal with its parts, and our own signal tables."""

from __future__ import annotations

from fmdj_cloud.load.prepare import Prepared
from fmdj_cloud.load.rows import Shape, Table, processing_row, signal_batches
from fmdj_cloud.load.writing import RowWriter, fill_recording_info, tell_output_dir
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


def _write_signals(lab: Lab, prepared: Prepared, writer: RowWriter) -> None:
    key, element = dict(prepared.key), lab.element
    tables = {
        Table.FACIAL_SIGNAL: element.FacialSignal,
        Table.REGION: element.Region,
        Table.MOTION_SVD: element.MotionSVD,
        Table.MOVIE_SVD: element.MovieSVD,
        Table.SUMMARY: element.Summary,
        Table.PUPIL: lab.signals.Pupil,
        Table.BLINK: lab.signals.Blink,
        Table.RUNNING: lab.signals.Running,
    }
    # Without foreign keys into the lab's schema, ours outlive result rows that the lab deleted
    for table in (Table.PUPIL, Table.BLINK, Table.RUNNING):
        (tables[table] & key).delete_quick()
    heading = element.Region.heading
    optional = ("xrange", "yrange", "xrange_bin", "yrange_bin", "motion")
    shape = Shape(element.component, frozenset(name for name in optional if not heading[name].nullable))
    for batch in signal_batches(
        key, prepared.signals, shape, writer.slice_bytes, max_components=prepared.max_components
    ):
        writer.insert(batch.table.value, tables[batch.table], batch.rows)
