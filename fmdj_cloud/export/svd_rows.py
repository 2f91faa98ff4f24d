"""The rows of one FacialSignal, and of our own signal tables, as an export reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fmdj_cloud.contracts import Roi, SvdParams
from fmdj_cloud.errors import InputError
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.result_rows import Array, Rows

BASES = {"mot": ("MotionSVD", "motion"), "mov": ("MovieSVD", "movie")}
"""Prefix of columns -> name of the table, and of what is decomposed."""
_RANGES = ("xrange", "yrange", "xrange_bin", "yrange_bin")


@dataclass(frozen=True)
class Region:
    """A row of FacialSignal.Region without its motion.

    Attributes
    ----------
    number : int
    name : str
    roi : Roi or None
        Of the task's parameters; None for the full frame, and where that can't be told.
    ranges : dict
        xrange, yrange, xrange_bin, yrange_bin, empty where the row has none.
    """

    number: int
    name: str
    roi: Roi | None
    ranges: dict[str, Array]

    @property
    def suffix(self) -> str:
        """What names of its signals end with."""
        return f"Region{self.number}"

    @property
    def text(self) -> str:
        """What people know it by."""
        view = "" if self.roi is None else f" of view {self.roi.view}"
        return f"region {self.number}{f' ({self.name})' if self.name else ''}{view}"

    def box(self, suffix: str = "") -> tuple[float, float, float, float]:
        """Return (x1, y1, x2, y2), NaN where it isn't known; x2 and y2 lie behind the last pixel.

        Parameters
        ----------
        suffix : str
            ``_bin`` for binned pixels.
        """
        x, y = self.ranges[f"xrange{suffix}"], self.ranges[f"yrange{suffix}"]
        if not x.size or not y.size:
            return np.nan, np.nan, np.nan, np.nan
        return float(x.min()), float(y.min()), float(x.max() + 1), float(y.max() + 1)


class SvdRows:
    """The rows of one FacemapTask's results.

    Parameters
    ----------
    lab : Lab
    key : dict
    params : SvdParams or None
        Of the task, where they can be read: they tell the views of ROIs.

    Attributes
    ----------
    regions : tuple of Region
        By number.
    nframes : int
    with_motion : frozenset of int
        Numbers of regions that have a motion trace.
    summary, pupil, blink, running : Rows

    Raises
    ------
    InputError
        If the rows hold no trace.
    """

    def __init__(self, lab: Lab, key: dict[str, Any], params: SvdParams | None) -> None:
        element, database = lab.element, lab.element.database
        self._component = element.component
        self._region = Rows(database, element.Region, key, lab.kept)
        self._svd = {
            "mot": Rows(database, element.MotionSVD, key, lab.kept),
            "mov": Rows(database, element.MovieSVD, key, lab.kept),
        }
        self.summary = Rows(database, element.Summary, key, lab.kept)
        self.pupil = Rows(database, lab.signals.Pupil, key)
        self.blink = Rows(database, lab.signals.Blink, key)
        self.running = Rows(database, lab.signals.Running, key)
        self.regions = self._read_regions(params)
        lengths = {region.number: self._motion_length(region.number) for region in self.regions}
        self.with_motion = frozenset(number for number, length in lengths.items() if length)
        self.nframes = next(filter(None, lengths.values()), 0) or self._length_of_others()

    def components(self, basis: str, number: int) -> list[int]:
        """Return the numbers of a region's components."""
        rows = self._svd[basis].some([self._component], {"roi_no": number})
        return sorted(int(row[self._component]) for row in rows)

    def mask_shape(self, basis: str, number: int, component: int) -> tuple[int, int]:
        """Return the shape of a mask.

        Raises
        ------
        InputError
            If it is no picture.
        """
        name = f"{basis}mask"
        row = self._svd[basis].one(name, roi_no=number, **{self._component: component})
        shape = () if row is None else np.asarray(row[name]).shape
        if len(shape) != 2:
            raise InputError(
                f"{name} of {self._svd[basis]!r} (roi_no={number}) is of shape {shape}, not a picture: `fmdj audit` "
                "tells what is wrong with these rows.",
                check="rows",
            )
        return shape[0], shape[1]

    def masks(self, basis: str, number: int, some: Sequence[int]) -> Array:
        """Return masks, (component, y, x) float32."""
        name = f"{basis}mask"
        return np.stack([np.asarray(row[name], np.float32) for row in self._of(basis, [name], number, some)])

    def projections(self, basis: str, number: int, some: Sequence[int]) -> Array:
        """Return time courses, (frame, component) float32.

        Raises
        ------
        InputError
            If one has another length.
        """
        rows = self._svd[basis]
        traces = [
            rows.trace(row["projection"], "projection", self.nframes, (), {"roi_no": number, self._component: one})
            for one, row in zip(some, self._of(basis, ["projection"], number, some), strict=True)
        ]
        return np.stack(traces, axis=1)

    def singular_values(self, basis: str, number: int, some: Sequence[int]) -> Array:
        """Return singular values, NaN where they aren't known."""
        found = self._of(basis, ["singular_value"], number, some)
        return np.array([np.nan if row["singular_value"] is None else row["singular_value"] for row in found])

    def motion(self, number: int) -> Array:
        """Return a region's motion."""
        return self._region.array("motion", self.nframes, roi_no=number)

    def within(self, rows: Rows) -> list[Region]:
        """Return the regions that have a row in a signal table."""
        there = {int(row["roi_no"]) for row in rows.all("roi_no")}
        return [region for region in self.regions if region.number in there]

    def _of(self, basis: str, names: Sequence[str], number: int, some: Sequence[int]) -> list[dict[str, Any]]:
        return self._svd[basis].some(names, {"roi_no": number}, among=(self._component, some))

    def _read_regions(self, params: SvdParams | None) -> tuple[Region, ...]:
        rows = self._region.all("roi_no", "roi_name", *_RANGES, order=["roi_no"])
        full = params is not None and params.full_svd and (params.mot_svd or params.mov_svd)
        rois = () if params is None or len(rows) != len(params.rois) + full else params.rois
        found = []
        for row in rows:
            number = int(row["roi_no"])
            roi = rois[number - full] if 0 <= number - full < len(rois) else None
            ranges = {name: np.zeros(0) if row[name] is None else np.asarray(row[name]) for name in _RANGES}
            found.append(Region(number, str(row["roi_name"] or ""), roi, ranges))
        return tuple(found)

    def _motion_length(self, number: int) -> int:
        row = self._region.one("motion", roi_no=number)
        return 0 if row is None or row["motion"] is None else int(np.asarray(row["motion"]).size)

    def _length_of_others(self) -> int:
        for region in self.regions:
            for basis, rows in self._svd.items():
                for component in self.components(basis, region.number)[:1]:
                    row = rows.one("projection", roi_no=region.number, **{self._component: component})
                    if row is not None:
                        return len(row["projection"])
            for rows, name in ((self.pupil, "area"), (self.blink, "trace"), (self.running, "displacement")):
                row = rows.one(name, roi_no=region.number)
                if row is not None:
                    return len(row[name])
        raise InputError(
            f"{self._region!r} and what belongs to it hold no trace: there is nothing to export.", check="rows"
        )
