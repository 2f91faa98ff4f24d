"""What pictures are drawn from: a signals.h5, or anything else that answers in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fmdj_cloud.signals_h5 import Array, Basis, PoseInfo, RegionInfo


class Signals(Protocol):
    """Results of one task, read in slices: :class:`fmdj_cloud.signals_h5.SignalsReader` is one."""

    @property
    def nframes(self) -> int:
        """Frames that count."""
        ...

    @property
    def sbin(self) -> int:
        """Spatial bin."""
        ...

    @property
    def fps(self) -> float:
        """Frames per second, 0 where unknown."""
        ...

    def regions(self) -> tuple[RegionInfo, ...]:
        """Return all regions by roi_no."""
        ...

    def summary(self) -> tuple[Array, Array] | None:
        """Return the mean frame and mean motion, each (y, x), if both are there."""
        ...

    def n_components(self, roi_no: int, basis: Basis) -> int:
        """Return how many components a region's SVD has."""
        ...

    def masks(self, roi_no: int, basis: Basis, start: int, stop: int) -> Array:
        """Return masks of components ``start:stop``, (stop - start, y, x)."""
        ...

    def shape(self, roi_no: int, name: str) -> tuple[int, ...] | None:
        """Return the shape of a region's trace, such as ``motion`` or ``pupil/area``; None if it has none."""
        ...

    def motion(self, roi_no: int, start: int = 0, stop: int | None = None) -> Array | None:
        """Return a region's motion in frames ``start:stop``, if any."""
        ...

    def pupil(self, roi_no: int, start: int = 0, stop: int | None = None) -> Mapping[str, Array] | None:
        """Return a pupil's traces by field in frames ``start:stop``, if any."""
        ...

    def blink(self, roi_no: int, start: int = 0, stop: int | None = None) -> Array | None:
        """Return a blink trace in frames ``start:stop``, if any."""
        ...

    def running(self, roi_no: int, start: int = 0, stop: int | None = None) -> Array | None:
        """Return a running trace in frames ``start:stop``, (frames, 2), if any."""
        ...

    def pose_views(self) -> tuple[PoseInfo, ...]:
        """Return what is said of the keypoints of every view that has any."""
        ...

    def body_parts(self, view: int) -> tuple[str, ...]:
        """Return the body parts that have keypoints in a view."""
        ...

    def keypoints(self, view: int, body_part: str, start: int = 0, stop: int | None = None) -> tuple[Array, ...]:
        """Return x, y and likelihood of a body part in frames ``start:stop``."""
        ...
