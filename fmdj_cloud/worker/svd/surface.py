"""Running ROIs: the crops that Facemap would take, and how they move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fmdj_cloud.contracts import RoiKind, SvdParams
from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.svd.geometry import of_kind
from fmdj_cloud.worker.svd.running import Displacement
from fmdj_cloud.worker.video import open_capture

Array = npt.NDArray[Any]

_AT_ONCE = 128


def running_views(params: SvdParams) -> tuple[int, ...]:
    """Return the views that hold running ROIs: each is read once."""
    return tuple(sorted({params.rois[index].view for index in of_kind(params, RoiKind.RUNNING)}))


def measure_running(
    params: SvdParams,
    view: int,
    videos: Sequence[Sequence[Path]],
    frames: Sequence[int],
    on_frames: Callable[[int], None],
) -> dict[int, Array]:
    """Compute the displacement in all running ROIs of a view.

    Parameters
    ----------
    params : SvdParams
    view : int
    videos : nested sequence of Path
        Outer sequential, inner simultaneous: what Facemap reads.
    frames : sequence of int
        Frames that count, of each sequential file.
    on_frames : callable
        Called with the number of frames, each time that some are done.

    Returns
    -------
    dict of int to ndarray of float64, shape (n, 2)
        By the ROI's place in the parameters: dy, dx in pixels from the frame before, positive down and
        right; row 0 copies row 1.
    """
    rois = {index: params.rois[index] for index in of_kind(params, RoiKind.RUNNING) if params.rois[index].view == view}
    meters = {index: Displacement(roi.y1 - roi.y0, roi.x1 - roi.x0) for index, roi in rois.items()}
    pieces: dict[int, list[Array]] = {index: [] for index in rois}
    for row, count in zip(videos, frames, strict=True):
        capture = open_capture(row[view])
        try:
            for start in range(0, count, _AT_ONCE):
                pictures = [_read(capture, row[view].name) for _ in range(min(_AT_ONCE, count - start))]
                for index, roi in rois.items():
                    crops = np.stack([picture[roi.y0 : roi.y1, roi.x0 : roi.x1] for picture in pictures])
                    pieces[index].append(meters[index].of(crops))
                on_frames(len(pictures))
        finally:
            capture.release()
    traces = {index: np.concatenate(piece) for index, piece in pieces.items()}
    for trace in traces.values():
        trace[0] = trace[1]
    return traces


def _read(capture: cv2.VideoCapture, name: str) -> Array:
    found, frame = capture.read()
    if not found:
        raise InputError(
            f"{name} could be decoded to its end a moment ago and can't any more: the scratch disk may be failing.",
            check="readable",
        )
    gray: Array = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    return gray
