"""The rows of a result, in place of a signals.h5 that is gone or never was: a trace at a time is in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fmdj_cloud.contracts import Origin, RoiKind, SvdParams
from fmdj_cloud.export.svd_rows import Region, SvdRows
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.result_rows import Rows
from fmdj_cloud.signals_h5 import FULL_FRAME, PUPIL_FIELDS, Array, Basis, PoseInfo, RegionInfo


class _Newest:
    """Keeps the trace that was asked for last: it is read in slices, one trace after the other."""

    def __init__(self) -> None:
        self._name: Any = None
        self._value: Any = None

    def get(self, name: Any, fetch: Callable[[], Any]) -> Any:
        if name != self._name:
            self._name, self._value = name, fetch()
        return self._value


class _NoPoints:
    """Half of :class:`~fmdj_cloud.report.signals.Signals`."""

    def pose_views(self) -> tuple[PoseInfo, ...]:
        """Return nothing."""
        return ()

    def body_parts(self, view: int) -> tuple[str, ...]:
        """Return nothing."""
        return ()

    def keypoints(self, view: int, body_part: str, start: int = 0, stop: int | None = None) -> tuple[Array, ...]:
        """Raise: there are none."""
        raise KeyError(body_part)


class SvdRowSignals(_NoPoints):
    """The rows of a FacemapTask's results as :class:`~fmdj_cloud.report.signals.Signals`.

    Parameters
    ----------
    lab : Lab
    key : dict
    params : SvdParams or None
        Of the task, where they can be read: they tell types and views of ROIs.
    fps : float
        0 where unknown.

    Raises
    ------
    InputError
        If the rows hold no trace.
    """

    def __init__(self, lab: Lab, key: dict[str, Any], params: SvdParams | None, fps: float) -> None:
        self._rows = SvdRows(lab, key, params)
        self._newest = _Newest()
        self._within = {
            name: {region.number for region in self._rows.within(getattr(self._rows, name))}
            for name in ("pupil", "blink", "running")
        }
        self._summary = self._rows.summary.one("sbin", "avgframe", "avgmotion") or {}
        self.fps = fps

    @property
    def nframes(self) -> int:
        """Frames that count."""
        return self._rows.nframes

    @property
    def sbin(self) -> int:
        """Spatial bin."""
        return int(self._summary.get("sbin") or 1)

    def regions(self) -> tuple[RegionInfo, ...]:
        """Return all regions by roi_no."""
        return tuple(map(self._region, self._rows.regions))

    def summary(self) -> tuple[Array, Array] | None:
        """Return the mean frame and mean motion, if both are there."""
        frame, motion = self._summary.get("avgframe"), self._summary.get("avgmotion")
        return None if frame is None or motion is None else (np.asarray(frame), np.asarray(motion))

    def n_components(self, roi_no: int, basis: Basis) -> int:
        """Return how many components a region's SVD has."""
        return len(self._rows.components(basis, roi_no))

    def masks(self, roi_no: int, basis: Basis, start: int, stop: int) -> Array:
        """Return masks of components ``start:stop``.

        Raises
        ------
        InputError
            If one is no picture.
        """
        some = self._rows.components(basis, roi_no)[start:stop]
        for component in some:
            self._rows.mask_shape(basis, roi_no, component)
        return self._rows.masks(basis, roi_no, some)

    def shape(self, roi_no: int, name: str) -> tuple[int, ...] | None:
        """Return the shape of a region's trace; None if it has none."""
        signal = name.partition("/")[0]
        there = self._rows.with_motion if signal == "motion" else self._within.get(signal, frozenset())
        return (self.nframes,) if roi_no in there else None

    def motion(self, roi_no: int, start: int = 0, stop: int | None = None) -> Array | None:
        """Return a region's motion in frames ``start:stop``."""
        whole: Array = self._newest.get(("motion", roi_no), lambda: self._rows.motion(roi_no))
        return whole[start:stop]

    def pupil(self, roi_no: int, start: int = 0, stop: int | None = None) -> dict[str, Array] | None:
        """Return a pupil's traces by field in frames ``start:stop``."""
        row = self._newest.get(("pupil", roi_no), lambda: self._rows.pupil.one(*PUPIL_FIELDS, roi_no=roi_no))
        return None if row is None else {name: np.asarray(value)[start:stop] for name, value in row.items()}

    def blink(self, roi_no: int, start: int = 0, stop: int | None = None) -> Array | None:
        """Return a blink trace in frames ``start:stop``."""
        return self._trace(self._rows.blink, "trace", (), roi_no)[start:stop]

    def running(self, roi_no: int, start: int = 0, stop: int | None = None) -> Array | None:
        """Return a running trace in frames ``start:stop``."""
        return self._trace(self._rows.running, "displacement", (2,), roi_no)[start:stop]

    def _trace(self, rows: Rows, name: str, trailing: tuple[int, ...], roi_no: int) -> Array:
        found: Array = self._newest.get((name, roi_no), lambda: rows.array(name, self.nframes, trailing, roi_no=roi_no))
        return found

    def _region(self, region: Region) -> RegionInfo:
        kind = FULL_FRAME if region.roi is None else region.roi.kind.value
        if region.roi is None:
            kind = next((one.value for one in RoiKind if region.name.startswith(one.value)), kind)
        y, x, y_bin, x_bin = (
            np.asarray(region.ranges[name]).ravel() for name in ("yrange", "xrange", "yrange_bin", "xrange_bin")
        )
        view = 0 if region.roi is None else region.roi.view
        return RegionInfo(region.number, kind, region.name, view, y, x, y_bin, x_bin, Origin.IMPORT)
