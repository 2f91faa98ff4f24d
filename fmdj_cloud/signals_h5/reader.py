"""Read a signals.h5 file in slices."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import h5py
import numpy as np

from fmdj_cloud.errors import LoadError
from fmdj_cloud.signals_h5.contents import Attributes, Contents, MalformedError, read_contents, shown
from fmdj_cloud.signals_h5.layout import FORMAT, PUPIL_FIELDS, VERSION, Array, Basis, RegionInfo
from fmdj_cloud.signals_h5.pose import PoseReading
from fmdj_cloud.signals_h5.vetting import malformed


class SignalsReader(PoseReading):
    """Read a signals.h5 file in slices.

    Everything but numbers is read, and checked, when it is opened: links are not followed, and no number is read that
    doesn't lie in the file. A file from elsewhere is shown to :func:`~fmdj_cloud.signals_h5.vetting.vet` before.

    Parameters
    ----------
    path : Path

    Raises
    ------
    LoadError
        If the file isn't a signals.h5 of a version that is known, or isn't laid out as documented.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = h5py.File(path, "r")
        except (OSError, RuntimeError, ValueError) as error:
            raise LoadError(f"{path.name} can't be read as HDF5: {shown(error)}") from error
        try:
            self._contents = self._look()
        except BaseException:
            self._file.close()
            raise

    def _look(self) -> Contents:
        try:
            return read_contents(self._file, self._path.stat().st_size, expected={"format": FORMAT, "version": VERSION})
        except MalformedError as error:
            raise malformed(self._path, error) from error

    def __enter__(self) -> SignalsReader:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def run_id(self) -> str:
        """Run that wrote the file."""
        return str(self._contents.root["run_id"])

    @property
    def nframes(self) -> int:
        """Frames that count."""
        return int(self._contents.root["nframes"])

    @property
    def sbin(self) -> int:
        """Spatial bin."""
        return int(self._contents.root["sbin"])

    @property
    def fps(self) -> float:
        """Frames per second, 0 where unknown."""
        return float(self._contents.root["fps"])

    def regions(self) -> tuple[RegionInfo, ...]:
        """Return all regions by roi_no."""
        return tuple(self._region(number, attributes) for number, attributes in self._contents.regions.items())

    def shape(self, roi_no: int, name: str) -> tuple[int, ...] | None:
        """Return the shape of a region's dataset, such as ``mot/masks``, without reading it; None if absent."""
        return self._contents.shapes.get(f"regions/{roi_no}/{name}")

    def summary(self) -> tuple[Array, Array] | None:
        """Return the mean frame and mean motion, each (y, x) float32, if both are there."""
        frame, motion = self._read("summary/avgframe"), self._read("summary/avgmotion")
        return None if frame is None or motion is None else (frame, motion)

    def motion(self, roi_no: int, start: int = 0, stop: int | None = None) -> Array | None:
        """Return a region's motion in frames ``start:stop``, (frames,) float32, if any."""
        return self._read(f"regions/{roi_no}/motion", slice(start, stop))

    def n_components(self, roi_no: int, basis: Basis) -> int:
        """Return how many components a region's SVD has (0: none computed)."""
        shape = self.shape(roi_no, f"{basis}/projections")
        return 0 if shape is None else shape[1]

    def singular_values(self, roi_no: int, basis: Basis) -> Array | None:
        """Return a region's singular values, (c,) float32, if known."""
        return self._read(f"regions/{roi_no}/{basis}/singular_values")

    def components(self, roi_no: int, basis: Basis, start: int, stop: int) -> tuple[Array, Array]:
        """Return components ``start:stop`` of a region.

        Returns
        -------
        masks : ndarray of float32, shape (stop - start, y, x)
        projections : ndarray of float32, shape (stop - start, nframes)

        Raises
        ------
        LoadError
            If there are none.
        """
        masks = self.masks(roi_no, basis, start, stop)
        projections = self._needed(f"regions/{roi_no}/{basis}/projections", (slice(None), slice(start, stop)))
        return masks, np.ascontiguousarray(projections.T)

    def masks(self, roi_no: int, basis: Basis, start: int, stop: int) -> Array:
        """Return masks of components ``start:stop`` of a region, (stop - start, y, x) float32.

        Raises
        ------
        LoadError
            If there are none.
        """
        masks = self._needed(f"regions/{roi_no}/{basis}/masks", (slice(None), slice(None), slice(start, stop)))
        return np.ascontiguousarray(np.moveaxis(masks, -1, 0))

    def pupil(self, roi_no: int, start: int = 0, stop: int | None = None) -> dict[str, Array] | None:
        """Return a pupil's traces by field in frames ``start:stop``, if any.

        Raises
        ------
        LoadError
            If some are missing.
        """
        where = f"regions/{roi_no}/pupil"
        if not any(f"{where}/{name}" in self._contents.shapes for name in PUPIL_FIELDS):
            return None
        return {name: self._needed(f"{where}/{name}", slice(start, stop)) for name in PUPIL_FIELDS}

    def blink(self, roi_no: int, start: int = 0, stop: int | None = None) -> Array | None:
        """Return a blink trace in frames ``start:stop``, (frames,) float64, if any."""
        return self._read(f"regions/{roi_no}/blink/trace", slice(start, stop))

    def running(self, roi_no: int, start: int = 0, stop: int | None = None) -> Array | None:
        """Return a running trace in frames ``start:stop``, (frames, 2) float64, if any."""
        return self._read(f"regions/{roi_no}/running/displacement", slice(start, stop))

    def _region(self, number: int, attributes: Attributes) -> RegionInfo:
        return RegionInfo(
            roi_no=attributes["roi_no"],
            kind=attributes["kind"],
            name=attributes["name"],
            view=attributes["view"],
            yrange=self._needed(f"regions/{number}/yrange"),
            xrange=self._needed(f"regions/{number}/xrange"),
            yrange_bin=self._needed(f"regions/{number}/yrange_bin"),
            xrange_bin=self._needed(f"regions/{number}/xrange_bin"),
            origin=self._origin(attributes),
            repairs=tuple(filter(None, attributes["repairs"].split(","))),
            note=attributes["note"],
        )
