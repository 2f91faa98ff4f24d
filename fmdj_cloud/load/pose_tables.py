"""The tables of a pose run: FacemapInference and BodyPartPosition."""

from __future__ import annotations

from fmdj_cloud.contracts import Kind
from fmdj_cloud.load.pose_rows import inference_row, position_batches
from fmdj_cloud.load.prepare import Prepared
from fmdj_cloud.load.writing import RowWriter, fill_recording_info, tell_output_dir
from fmdj_cloud.pipeline.inserting import keep_blobs
from fmdj_cloud.pipeline.lab import Lab


def write_pose(lab: Lab, prepared: Prepared, writer: RowWriter) -> None:
    """Write all rows of a pose run, in the transaction that is open."""
    key, inference = dict(prepared.key), lab.tasks(Kind.POSE).result
    duration = inference.heading["inference_run_duration"]
    row = inference_row(key, prepared.manifest, whole_seconds="int" in str(duration.type).lower())
    writer.insert("FacemapInference", inference, [row])
    for rows in position_batches(key, prepared.signals, prepared.pose_view, writer.slice_bytes):
        writer.insert("BodyPartPosition", inference.BodyPartPosition, rows)
    tell_output_dir(lab, prepared)
    fill_recording_info(lab, prepared, writer)


def keep_pose(lab: Lab, prepared: Prepared, slice_bytes: int) -> None:
    """Put what the tables of a pose run keep in an object store there: before the transaction, which stays short."""
    table = lab.tasks(Kind.POSE).result.BodyPartPosition
    if lab.kept.keeps(table):
        for rows in position_batches(dict(prepared.key), prepared.signals, prepared.pose_view, slice_bytes):
            keep_blobs(lab.element.database, table, rows, lab.kept)
