"""The keypoints in the file: what is said of them, and how they are written and read."""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np

from fmdj_cloud.contracts import Origin
from fmdj_cloud.signals_h5.access import Access
from fmdj_cloud.signals_h5.layout import Array

KEYPOINT_FIELDS = ("x", "y", "likelihood")


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


class PoseWriting:
    """The part of a writer that writes keypoints."""

    _file: h5py.File
    _nframes: int

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


class PoseReading(Access):
    """The part of a reader that reads keypoints."""

    def pose_views(self) -> tuple[PoseInfo, ...]:
        """Return what is said of the keypoints of every view that has any."""
        return tuple(
            PoseInfo(
                view=attributes["view"],
                origin=self._origin(attributes),
                batch_size=attributes["batch_size"],
                precision=attributes["precision"],
                bbox=attributes["bbox"],
                note=attributes["note"],
            )
            for attributes in self._contents.poses.values()
        )

    def body_parts(self, view: int) -> tuple[str, ...]:
        """Return the body parts that have keypoints in a view, in the order of their names."""
        return self._contents.parts.get(view, ())

    def keypoint_shapes(self, view: int, body_part: str) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of a body part's x, y and likelihood without reading them; () for one that is absent."""
        return tuple(self._contents.shapes.get(f"pose/{view}/{body_part}/{name}", ()) for name in KEYPOINT_FIELDS)

    def keypoints(self, view: int, body_part: str, start: int = 0, stop: int | None = None) -> tuple[Array, ...]:
        """Return x, y and likelihood of a body part, each (frames,) float32, in frames ``start:stop``.

        Raises
        ------
        LoadError
            If one is absent.
        """
        where = f"pose/{view}/{body_part}"
        return tuple(self._needed(f"{where}/{name}", slice(start, stop)) for name in KEYPOINT_FIELDS)
