"""The rows of a FacemapInference as facts; points are compared with the file's on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fmdj_cloud.audit.facts import PoseFacts, RecordingFacts
from fmdj_cloud.load.quality.likeness import close
from fmdj_cloud.pipeline.inference import Inference
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.result_rows import Rows
from fmdj_cloud.signals_h5 import SignalsReader


def read_pose(
    lab: Lab,
    inference: Inference,
    key: Mapping[str, Any],
    recording: RecordingFacts,
    signals: SignalsReader | None,
    *,
    view: int,
    declared: Sequence[str] = (),
) -> PoseFacts:
    """Return the rows of one FacemapInference as facts.

    Parameters
    ----------
    lab : Lab
    inference : Inference
        Its own.
    key : Mapping
    recording : RecordingFacts
    signals : SignalsReader or None
        The file that they are compared with.
    view : int
        Whose points are loaded.
    declared : sequence of str
        Body parts of the task's model, where they are known.
    """
    rows = Rows(inference.database, inference.BodyPartPosition, key, lab.kept)
    head = Rows(inference.database, inference.FacemapInference, key).one("total_frame_count", "inference_run_duration")
    in_file = () if signals is None else signals.body_parts(view)
    lengths: dict[str, tuple[int, ...]] = {}
    differing, swapped = [], []
    for part in sorted(str(row["body_part"]) for row in rows.all("body_part")):
        row = rows.one("x_pos", "y_pos", "likelihood", body_part=part) or {}
        points = [np.asarray(value) for value in row.values()]
        lengths[part] = tuple(values.size for values in points)
        if signals is None or part not in in_file or set(lengths[part]) != {signals.nframes}:
            continue
        x, y, likelihood = signals.keypoints(view, part)
        if not all(map(close, points, (x, y, likelihood))):
            differing.append(part)
            if close(points[0], y) and close(points[1], x):
                swapped.append(part)
    said = head or {"total_frame_count": 0, "inference_run_duration": 0.0}
    return PoseFacts(
        recording=recording,
        total_frames=int(said["total_frame_count"]),
        duration_s=float(said["inference_run_duration"] or 0.0),
        parts=lengths,
        differing=tuple(differing),
        swapped=tuple(swapped),
        declared=tuple(declared),
    )
