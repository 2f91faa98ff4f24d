"""``signals.h5``: the one documented, pickle-free file that the loader reads, in slices.

Layout (HDF5; n frames, c components, (y, x) pixels; all numbers little-endian)::

    /                       attributes: format "fmdj-signals", version 1, kind, run_id, nframes, sbin, fps
    /summary/avgframe       (y, x) float32, gray levels, binned, all views placed side by side
    /summary/avgmotion      (y, x) float32, gray levels per frame, likewise
    /regions/<roi_no>/      attributes: roi_no, kind ("full frame" or Facemap's ROI type), name, view (-1 for
                            all), origin, repairs ("F1,F5"), note
        yrange, xrange      (k,) int64: unbinned pixels of the view
        yrange_bin, xrange_bin  (k,) int64: binned pixels (empty for pupil, blink and running)
        motion              (n,) float32: sum over pixels of |frame k - frame k-1|, aligned: row 0 copies row 1
        mot/masks, mov/masks                     (y, x, c) float32, unit norm per component
        mot/projections, mov/projections         (n, c) float32
        mot/singular_values, mov/singular_values (c,) float32; absent where Facemap's are another region's (F6)
        pupil/area, pupil/area_smooth            (n,) float64, pixels
        pupil/com, pupil/com_smooth              (n, 2) float64: y, x in pixels from the ROI's corner
        pupil/axdir (n, 2, 2), pupil/axlen (n, 2) float64: axes of the fitted ellipse
        blink/trace         (n,) float64: sum of saturation - gray over dark pixels; raw (F10)
        running/displacement  (n, 2) float64: dy, dx of the surface from frame k-1 to k, pixels, positive down
                            and right; row 0 copies row 1
    /pose/<view>/           attributes: view, origin, batch_size, precision, bbox (y0, y1, x0, x1), note
        <body part>/x, y, likelihood  (n,) float32: pixels of the video, likelihood 0..1; NaN and 0 in frames that
                            can't be decoded or show nothing

A dataset that doesn't apply is absent. Names of Facemap's faults (F1 to F10) are those of the documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from fmdj_cloud.contracts import Kind, Origin
from fmdj_cloud.errors import LoadError

FORMAT = "fmdj-signals"
VERSION = 1
FULL_FRAME = "full frame"
"""`kind` of the region that is the whole picture."""
Basis = Literal["mot", "mov"]
Array = npt.NDArray[Any]

KEYPOINT_FIELDS = ("x", "y", "likelihood")
PUPIL_FIELDS = ("area", "area_smooth", "com", "com_smooth", "axdir", "axlen")
_COMPONENTS_PER_CHUNK = 8
_FRAMES_PER_CHUNK = 65_536


@dataclass(frozen=True)
class RegionInfo:
    """Description of one region.

    Attributes
    ----------
    roi_no : int
        The Element's number of the region.
    kind : str
        ``"full frame"`` or the value of a :class:`~fmdj_cloud.contracts.RoiKind`.
    name : str
        At most 16 characters.
    view : int
        View of a ROI, -1 for the full frame.
    yrange, xrange : ndarray of int64
        Unbinned pixels.
    yrange_bin, xrange_bin : ndarray of int64
        Binned pixels; empty where nothing is binned.
    origin : Origin
    repairs : tuple of str
    note : str
    """

    roi_no: int
    kind: str
    name: str
    view: int
    yrange: Array
    xrange: Array
    yrange_bin: Array
    xrange_bin: Array
    origin: Origin
    repairs: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class PoseInfo:
    """Description of one view's keypoints.

    Attributes
    ----------
    view : int
    origin : Origin
    batch_size : int
        Frames computed at once; 0 where that isn't known.
    precision : str
    bbox : tuple of int
        Four edges: y0, y1, x0, x1: the part of the frame that was looked at.
    note : str
    """

    view: int
    origin: Origin
    batch_size: int
    precision: str
    bbox: tuple[int, ...]
    note: str = ""


class SignalsWriter:
    """Write a signals.h5 file.

    Parameters
    ----------
    path : Path
        New file.
    kind : Kind
    run_id : str
    nframes : int
    sbin : int
    fps : float
    """

    def __init__(self, path: Path, *, kind: Kind, run_id: str, nframes: int, sbin: int = 1, fps: float = 0.0) -> None:
        self._file = h5py.File(path, "w")
        self._nframes = nframes
        attributes = {
            "format": FORMAT,
            "version": VERSION,
            "kind": kind.value,
            "run_id": run_id,
            "nframes": nframes,
            "sbin": sbin,
            "fps": fps,
        }
        for name, value in attributes.items():
            self._file.attrs[name] = value

    def __enter__(self) -> SignalsWriter:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def summary(self, avgframe: Array, avgmotion: Array) -> None:
        """Write the mean frame and mean motion, each (y, x)."""
        self._file["summary/avgframe"] = np.asarray(avgframe, np.float32)
        self._file["summary/avgmotion"] = np.asarray(avgmotion, np.float32)

    def region(self, info: RegionInfo) -> None:
        """Write a region's description; its signals follow."""
        group = self._file.create_group(f"regions/{info.roi_no}")
        group.attrs["roi_no"] = info.roi_no
        group.attrs["kind"] = info.kind
        group.attrs["name"] = info.name
        group.attrs["view"] = info.view
        group.attrs["origin"] = info.origin.value
        group.attrs["repairs"] = ",".join(info.repairs)
        group.attrs["note"] = info.note
        for name in ("yrange", "xrange", "yrange_bin", "xrange_bin"):
            group[name] = np.asarray(getattr(info, name), np.int64)

    def motion(self, roi_no: int, motion: Array) -> None:
        """Write a region's motion, (nframes,)."""
        self._write(roi_no, "motion", np.asarray(motion, np.float32))

    def components(
        self, roi_no: int, basis: Basis, masks: Array, projections: Array, singular_values: Array | None
    ) -> None:
        """Write a region's SVD.

        Parameters
        ----------
        roi_no : int
        basis : {"mot", "mov"}
            Motion or movie SVD.
        masks : ndarray, shape (y, x, c)
        projections : ndarray, shape (nframes, c)
        singular_values : ndarray, shape (c,), or None
        """
        group = self._file.require_group(f"regions/{roi_no}/{basis}")
        y, x, c = masks.shape
        if projections.shape != (self._nframes, c):
            raise ValueError(f"projections are {projections.shape}, not {(self._nframes, c)}")
        per = max(1, min(c, _COMPONENTS_PER_CHUNK))
        group.create_dataset("masks", data=np.asarray(masks, np.float32), chunks=(y, x, per) if c else None)
        group.create_dataset(
            "projections",
            data=np.asarray(projections, np.float32),
            chunks=(max(1, min(self._nframes, _FRAMES_PER_CHUNK)), per) if c else None,
        )
        if singular_values is not None:
            group["singular_values"] = np.asarray(singular_values, np.float32)

    def pupil(self, roi_no: int, fields: dict[str, Array]) -> None:
        """Write a pupil's traces: the fields of Facemap's pupil dict, each with nframes rows."""
        for name in PUPIL_FIELDS:
            self._write(roi_no, f"pupil/{name}", np.asarray(fields[name], np.float64))

    def blink(self, roi_no: int, trace: Array) -> None:
        """Write a blink trace, (nframes,)."""
        self._write(roi_no, "blink/trace", np.asarray(trace, np.float64))

    def running(self, roi_no: int, displacement: Array) -> None:
        """Write a running trace, (nframes, 2): dy, dx."""
        self._write(roi_no, "running/displacement", np.asarray(displacement, np.float64))

    def pose(self, info: PoseInfo) -> None:
        """Write the description of a view's keypoints, which follow."""
        group = self._file.create_group(f"pose/{info.view}")
        group.attrs["view"] = info.view
        group.attrs["origin"] = info.origin.value
        group.attrs["batch_size"] = info.batch_size
        group.attrs["precision"] = info.precision
        group.attrs["bbox"] = np.asarray(info.bbox, np.int64)
        group.attrs["note"] = info.note

    def keypoints(self, view: int, body_part: str, points: Array) -> None:
        """Write a body part's points, (nframes, 3): x, y, likelihood."""
        if points.shape != (self._nframes, len(KEYPOINT_FIELDS)):
            raise ValueError(f"view {view}: {body_part} has points {points.shape} for {self._nframes} frames")
        for place, name in enumerate(KEYPOINT_FIELDS):
            self._file[f"pose/{view}/{body_part}/{name}"] = np.asarray(points[:, place], np.float32)

    def _write(self, roi_no: int, name: str, data: Array) -> None:
        if data.shape[0] != self._nframes:
            raise ValueError(f"region {roi_no}: {name} has {data.shape[0]} rows for {self._nframes} frames")
        self._file[f"regions/{roi_no}/{name}"] = data


class SignalsReader:
    """Read a signals.h5 file in slices.

    Parameters
    ----------
    path : Path

    Raises
    ------
    LoadError
        If the file isn't a signals.h5 of a version that is known.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise LoadError(f"{path.name} can't be read as HDF5: {error}") from error
        found = self._file.attrs.get("format"), self._file.attrs.get("version")
        if found != (FORMAT, VERSION):
            self._file.close()
            raise LoadError(f"{path.name} is {found[0]} version {found[1]}, not {FORMAT} version {VERSION}")

    def __enter__(self) -> SignalsReader:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def run_id(self) -> str:
        """Run that wrote the file."""
        return str(self._file.attrs["run_id"])

    @property
    def nframes(self) -> int:
        """Frames that count."""
        return int(self._file.attrs["nframes"])

    @property
    def sbin(self) -> int:
        """Spatial bin."""
        return int(self._file.attrs["sbin"])

    @property
    def fps(self) -> float:
        """Frames per second, 0 where unknown."""
        return float(self._file.attrs["fps"])

    def regions(self) -> tuple[RegionInfo, ...]:
        """Return all regions by roi_no."""
        return tuple(self._regions())

    def _regions(self) -> Iterator[RegionInfo]:
        groups = self._file.get("regions", {})
        for number in sorted(groups, key=int):
            group = groups[number]
            attributes = group.attrs
            yield RegionInfo(
                roi_no=int(attributes["roi_no"]),
                kind=str(attributes["kind"]),
                name=str(attributes["name"]),
                view=int(attributes["view"]),
                yrange=group["yrange"][()],
                xrange=group["xrange"][()],
                yrange_bin=group["yrange_bin"][()],
                xrange_bin=group["xrange_bin"][()],
                origin=Origin(attributes["origin"]),
                repairs=tuple(filter(None, str(attributes["repairs"]).split(","))),
                note=str(attributes["note"]),
            )

    def shape(self, roi_no: int, name: str) -> tuple[int, ...] | None:
        """Return the shape of a region's dataset, such as ``mot/masks``, without reading it; None if absent."""
        path = f"regions/{roi_no}/{name}"
        return tuple(self._file[path].shape) if path in self._file else None

    def summary(self) -> tuple[Array, Array] | None:
        """Return the mean frame and mean motion, each (y, x) float32, if any."""
        if "summary" not in self._file:
            return None
        return self._file["summary/avgframe"][()], self._file["summary/avgmotion"][()]

    def motion(self, roi_no: int) -> Array | None:
        """Return a region's motion, (nframes,) float32, if any."""
        return self._read(roi_no, "motion")

    def n_components(self, roi_no: int, basis: Basis) -> int:
        """Return how many components a region's SVD has (0: none computed)."""
        path = f"regions/{roi_no}/{basis}/projections"
        return int(self._file[path].shape[1]) if path in self._file else 0

    def singular_values(self, roi_no: int, basis: Basis) -> Array | None:
        """Return a region's singular values, (c,) float32, if known."""
        return self._read(roi_no, f"{basis}/singular_values")

    def components(self, roi_no: int, basis: Basis, start: int, stop: int) -> tuple[Array, Array]:
        """Return components ``start:stop`` of a region.

        Returns
        -------
        masks : ndarray of float32, shape (stop - start, y, x)
        projections : ndarray of float32, shape (stop - start, nframes)
        """
        group = self._file[f"regions/{roi_no}/{basis}"]
        masks = np.ascontiguousarray(np.moveaxis(group["masks"][:, :, start:stop], -1, 0))
        projections = np.ascontiguousarray(group["projections"][:, start:stop].T)
        return masks, projections

    def pupil(self, roi_no: int) -> dict[str, Array] | None:
        """Return a pupil's traces by field, if any."""
        if f"regions/{roi_no}/pupil" not in self._file:
            return None
        return {name: self._file[f"regions/{roi_no}/pupil/{name}"][()] for name in PUPIL_FIELDS}

    def blink(self, roi_no: int) -> Array | None:
        """Return a blink trace, (nframes,) float64, if any."""
        return self._read(roi_no, "blink/trace")

    def running(self, roi_no: int) -> Array | None:
        """Return a running trace, (nframes, 2) float64, if any."""
        return self._read(roi_no, "running/displacement")

    def pose_views(self) -> tuple[PoseInfo, ...]:
        """Return what is said of the keypoints of every view that has any."""
        groups = self._file.get("pose", {})
        return tuple(
            PoseInfo(
                view=int(attributes["view"]),
                origin=Origin(attributes["origin"]),
                batch_size=int(attributes["batch_size"]),
                precision=str(attributes["precision"]),
                bbox=tuple(int(edge) for edge in attributes["bbox"]),
                note=str(attributes["note"]),
            )
            for attributes in (groups[view].attrs for view in sorted(groups, key=int))
        )

    def body_parts(self, view: int) -> tuple[str, ...]:
        """Return the body parts that have keypoints in a view, in the order of their names."""
        path = f"pose/{view}"
        return tuple(sorted(self._file[path])) if path in self._file else ()

    def keypoint_shapes(self, view: int, body_part: str) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of a body part's x, y and likelihood without reading them; () for one that is absent."""
        group = self._file[f"pose/{view}/{body_part}"]
        return tuple(tuple(group[name].shape) if name in group else () for name in KEYPOINT_FIELDS)

    def keypoints(self, view: int, body_part: str, start: int = 0, stop: int | None = None) -> tuple[Array, ...]:
        """Return x, y and likelihood of a body part, each (frames,) float32, in frames ``start:stop``."""
        group = self._file[f"pose/{view}/{body_part}"]
        return tuple(group[name][start:stop] for name in KEYPOINT_FIELDS)

    def _read(self, roi_no: int, name: str) -> Array | None:
        path = f"regions/{roi_no}/{name}"
        return self._file[path][()] if path in self._file else None
