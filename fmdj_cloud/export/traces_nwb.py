"""Motion energy, blink, running and pupil -> NWB's core types of behaviour."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pynwb import ProcessingModule, TimeSeries
from pynwb.behavior import BehavioralTimeSeries, EyeTracking, PupilTracking, SpatialSeries

from fmdj_cloud.export.iterators import Pieces, trace
from fmdj_cloud.export.provenance import Source
from fmdj_cloud.export.svd_rows import Region, SvdRows
from fmdj_cloud.export.timing import Timing
from fmdj_cloud.pipeline.result_rows import Array

_SIZES = (
    ("area", (), "Area", "pixels^2", "Area of the pupil"),
    ("area_smooth", (), "AreaSmooth", "pixels^2", "Area of the pupil, smoothed,"),
    ("axlen", (2,), "AxisLengths", "pixels", "Lengths of the axes of the pupil's ellipse"),
    ("axdir", (2, 2), "AxisDirections", "a.u.", "Directions of the axes of the pupil's ellipse, as Facemap has them,"),
)
_CENTERS = (
    ("com", "Center", "Centre of the pupil"),
    ("com_smooth", "CenterSmooth", "Centre of the pupil, smoothed,"),
)
_MOTION = "Sum of absolute differences between frames"
_BLINK = "Sum of saturation minus gray level over dark pixels"
_RUNNING = "Displacement of the surface since the frame before, as (dy, dx), positive down and to the right,"


def add_traces(behavior: ProcessingModule, rows: SvdRows, timing: Timing, source: Source) -> None:
    """Add the traces of all regions; each is fetched when the file is written.

    Parameters
    ----------
    behavior : ProcessingModule
    rows : SvdRows
    timing : Timing
    source : Source
    """
    _Traces(rows, timing, source).add_to(behavior)


class _Traces:
    def __init__(self, rows: SvdRows, timing: Timing, source: Source) -> None:
        self._rows = rows
        self._clock = {"rate": timing.rate, "starting_time": timing.starting_time}
        self._source = source

    def add_to(self, behavior: ProcessingModule) -> None:
        series = [*self._motion(), *self._blink(), *self._running()]
        if series:
            behavior.add(BehavioralTimeSeries(name="BehavioralTimeSeries", time_series=series))
        regions = self._rows.within(self._rows.pupil)
        if regions:
            sizes = [one for region in regions for one in self._pupil_sizes(region)]
            behavior.add(PupilTracking(name="PupilTracking", time_series=sizes))
            centers = [one for region in regions for one in self._pupil_centers(region)]
            behavior.add(EyeTracking(name="EyeTracking", spatial_series=centers))

    def _motion(self) -> list[TimeSeries]:
        return [
            self._series(
                f"MotionEnergy{region.suffix}",
                self._data(partial(self._rows.motion, region.number), (), "float32"),
                "a.u.",
                self._described(_MOTION, region, "motion"),
            )
            for region in self._rows.regions
            if region.number in self._rows.with_motion
        ]

    def _blink(self) -> list[TimeSeries]:
        rows = self._rows.blink
        return [
            self._series(
                f"Blink{region.suffix}",
                self._data(partial(rows.array, "trace", self._rows.nframes, roi_no=region.number), ()),
                "a.u.",
                self._described(_BLINK, region, "blink"),
            )
            for region in self._rows.within(rows)
        ]

    def _running(self) -> list[TimeSeries]:
        rows = self._rows.running
        return [
            self._series(
                f"Running{region.suffix}",
                self._data(partial(rows.array, "displacement", self._rows.nframes, (2,), roi_no=region.number), (2,)),
                "pixels",
                self._described(_RUNNING, region, "running"),
            )
            for region in self._rows.within(rows)
        ]

    def _pupil_sizes(self, region: Region) -> list[TimeSeries]:
        return [
            self._series(
                f"Pupil{name}{region.suffix}",
                self._data(partial(self._pupil, column, trailing, region), trailing),
                unit,
                self._described(what, region, "pupil"),
            )
            for column, trailing, name, unit, what in _SIZES
        ]

    def _pupil_centers(self, region: Region) -> list[SpatialSeries]:
        x, y, _, _ = region.box()
        frame = f"(x, y) from the upper left corner of {region.text}, at x={x:g}, y={y:g} of its view; y points down."
        return [
            SpatialSeries(
                name=f"Pupil{name}{region.suffix}",
                data=self._data(partial(self._center, column, region), (2,)),
                unit="pixels",
                reference_frame=frame,
                description=self._described(what, region, "pupil"),
                **self._clock,
            )
            for column, name, what in _CENTERS
        ]

    def _pupil(self, column: str, trailing: tuple[int, ...], region: Region) -> Array:
        return self._rows.pupil.array(column, self._rows.nframes, trailing, roi_no=region.number)

    def _center(self, column: str, region: Region) -> Array:
        return self._pupil(column, (2,), region)[:, ::-1]  # the tables have (y, x), NWB (x, y)

    def _data(self, fetch: Callable[[], Array], trailing: tuple[int, ...], dtype: str = "float64") -> Pieces:
        return trace(fetch, (self._rows.nframes, *trailing), dtype)

    def _series(self, name: str, data: Any, unit: str, description: str) -> TimeSeries:
        return TimeSeries(name=name, data=data, unit=unit, description=description, **self._clock)

    def _described(self, what: str, region: Region, signal: str) -> str:
        return f"{what} in {region.text}. {self._source.repairs(region.number, signal)}".rstrip()
