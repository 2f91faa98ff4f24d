"""Keypoints become rows: pure functions from a checked file to rows of the Element's inference tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fmdj_cloud.contracts import Manifest
from fmdj_cloud.load.rows import Row, batches
from fmdj_cloud.signals_h5 import SignalsReader

INFERENCE_STAGE = "pose"
"""Stage of a manifest's timings in which the network was at work, with all that goes on around it meanwhile."""


def inference_row(key: Mapping[str, Any], manifest: Manifest, *, whole_seconds: bool = False) -> Row:
    """Return the row of FacemapInference: when the points were found, how long that took, in how many frames.

    Parameters
    ----------
    key : Mapping
        Primary key of the task.
    manifest : Manifest
        The duration is what passed in the attempt that published, and in earlier ones for the parts that it went on
        from (of a sharded run, in all pods); 0 where imported files don't say it.
    whole_seconds : bool
        Whether the table's duration is an integer.
    """
    seconds = manifest.timings_s.get(INFERENCE_STAGE, 0.0)
    return {
        **key,
        "inference_completion_time": manifest.finished.replace(microsecond=0),
        "inference_run_duration": round(seconds) if whole_seconds else seconds,
        "total_frame_count": manifest.nframes,
    }


def position_batches(
    key: Mapping[str, Any], signals: SignalsReader, view: int, slice_bytes: int
) -> Iterator[Sequence[Row]]:
    """Yield the rows of BodyPartPosition, by body part.

    Parameters
    ----------
    key : Mapping
        Primary key of the task.
    signals : SignalsReader
        Has passed :func:`fmdj_cloud.load.check.check_keypoints`.
    view : int
    slice_bytes : int
        Bytes of arrays in a batch; a batch of a single row may have more.

    Yields
    ------
    sequence of dict
        x_pos, y_pos and likelihood are (nframes,) float32.
    """
    return batches((_position_row(key, signals, view, part) for part in signals.body_parts(view)), slice_bytes)


def _position_row(key: Mapping[str, Any], signals: SignalsReader, view: int, part: str) -> Row:
    x, y, likelihood = (np.asarray(values, np.float32) for values in signals.keypoints(view, part))
    return {**key, "body_part": part, "x_pos": x, "y_pos": y, "likelihood": likelihood}
