"""The rows of keypoints, in place of a signals.h5 that is gone or never was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fmdj_cloud.contracts import Origin
from fmdj_cloud.pipeline.inference import Inference
from fmdj_cloud.pipeline.kept import KeptBlobs
from fmdj_cloud.pipeline.result_rows import Rows
from fmdj_cloud.signals_h5 import Array, Basis, PoseInfo, RegionInfo

_COLUMNS = ("x_pos", "y_pos", "likelihood")


class PoseRowSignals:
    """The rows of a FacemapInferenceTask's results as :class:`~fmdj_cloud.report.signals.Signals`.

    Parameters
    ----------
    inference : Inference
    key : dict
    kept : KeptBlobs
    view : int
        Whose points were loaded.
    fps : float
        0 where unknown.

    Attributes
    ----------
    nframes, sbin : int
    fps : float
    """

    def __init__(self, inference: Inference, key: dict[str, Any], kept: KeptBlobs, *, view: int, fps: float) -> None:
        self._rows = Rows(inference.database, inference.BodyPartPosition, key, kept)
        self._parts = tuple(sorted(str(row["body_part"]) for row in self._rows.all("body_part")))
        self._view = view
        self._part = ""
        self._points: tuple[Array, ...] = ()
        self.fps = fps
        self.sbin = 1
        first = self._rows.one("x_pos", body_part=self._parts[0]) if self._parts else None
        self.nframes = 0 if first is None else int(np.asarray(first["x_pos"]).size)

    def regions(self) -> tuple[RegionInfo, ...]:
        """Return nothing: points have no regions."""
        return ()

    def summary(self) -> tuple[Array, Array] | None:
        """Return nothing."""
        return None

    def n_components(self, roi_no: int, basis: Basis) -> int:
        """Return 0."""
        return 0

    def masks(self, roi_no: int, basis: Basis, start: int, stop: int) -> Array:
        """Return nothing."""
        return np.zeros((0, 0, 0), np.float32)

    def shape(self, roi_no: int, name: str) -> tuple[int, ...] | None:
        """Return nothing."""
        return None

    def motion(self, roi_no: int, start: int = 0, stop: int | None = None) -> Array | None:
        """Return nothing."""
        return None

    def pupil(self, roi_no: int, start: int = 0, stop: int | None = None) -> Mapping[str, Array] | None:
        """Return nothing."""
        return None

    def blink(self, roi_no: int, start: int = 0, stop: int | None = None) -> Array | None:
        """Return nothing."""
        return None

    def running(self, roi_no: int, start: int = 0, stop: int | None = None) -> Array | None:
        """Return nothing."""
        return None

    def pose_views(self) -> tuple[PoseInfo, ...]:
        """Return what is said of the view whose points were loaded."""
        return (PoseInfo(self._view, Origin.IMPORT, 0, "", ()),) if self._parts else ()

    def body_parts(self, view: int) -> tuple[str, ...]:
        """Return the body parts that have keypoints."""
        return self._parts if view == self._view else ()

    def keypoints(self, view: int, body_part: str, start: int = 0, stop: int | None = None) -> tuple[Array, ...]:
        """Return x, y and likelihood of a body part in frames ``start:stop``.

        Raises
        ------
        InputError
            If one has another length than the others.
        """
        if body_part != self._part:
            row = self._rows.one(*_COLUMNS, body_part=body_part) or dict.fromkeys(_COLUMNS)
            of = {"body_part": body_part}
            self._points = tuple(self._rows.trace(row[name], name, self.nframes, (), of) for name in _COLUMNS)
            self._part = body_part
        return tuple(one[start:stop] for one in self._points)
