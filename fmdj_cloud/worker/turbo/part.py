"""What the projection of some frames yields, and its file: rows of every signal.

``part.h5`` (HDF5; arrays whole and uncompressed, so that they can be mapped; n frames ``start:stop``)::

    /                       attributes: format "fmdj-turbo-part", version 1, start, stop
    /<slot>/motion          (n,) float32
    /<slot>/<mot or mov>    (n, c) float32: projections
    /rois/<place in the parameters' ROIs>/<field>   (n, ...) float64: of pupil, blink and running ROIs

Only frames have rows here; what depends on frames elsewhere (smoothing, and row 0, which copies row 1) is left to
whoever puts the parts together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from fmdj_cloud.errors import StorageError
from fmdj_cloud.worker.stage_files import check_own
from fmdj_cloud.worker.turbo.mapped import mapped

Array = npt.NDArray[Any]

_FORMAT = "fmdj-turbo-part"
_VERSION = 1


class PartWriter:
    """Writes a part, block by block.

    Parameters
    ----------
    path : Path
        New file.
    start, stop : int
        Its frames.
    """

    def __init__(self, path: Path, start: int, stop: int) -> None:
        self._file = h5py.File(path, "w", libver="latest")
        self._file.attrs.update({"format": _FORMAT, "version": _VERSION, "start": start, "stop": stop})
        self._start = start
        self._frames = stop - start

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, first: int, rows: Mapping[str, Array]) -> None:
        """Write some rows.

        Parameters
        ----------
        first : int
            Frame of the first row.
        rows : Mapping
            Arrays, (frames, ...), by their place in the file.
        """
        for name, values in rows.items():
            if name not in self._file:
                self._file.create_dataset(name, (self._frames, *values.shape[1:]), values.dtype)
            if values.size:
                self._file[name][first - self._start : first - self._start + len(values)] = values


class Part:
    """A part that is complete.

    Parameters
    ----------
    path : Path

    Raises
    ------
    StorageError
        If it isn't one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with h5py.File(path, "r") as file:
                found = file.attrs.get("format"), file.attrs.get("version")
                if found != (_FORMAT, _VERSION):
                    raise StorageError(
                        f"{path.name} is {found[0]} version {found[1]}, not {_FORMAT} version {_VERSION}: compute the "
                        "task again with one version of fmdj in all its stages."
                    )
                check_own(file)
                self.start, self.stop = int(file.attrs["start"]), int(file.attrs["stop"])
                self._arrays: dict[str, Array] = {}
                file.visititems(lambda name, item: self._take(name, item))
        except (OSError, KeyError) as error:
            raise StorageError(f"{path.name} can't be read ({error}): compute the task again.") from error

    def _take(self, name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            self._arrays[name] = mapped(self._path, item)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]


class Parts:
    """All parts of a recording, in order.

    Parameters
    ----------
    parts : sequence of Part
    nframes : int
        Frames of the recording.

    Raises
    ------
    StorageError
        If they don't make up the recording.
    """

    def __init__(self, parts: Sequence[Part], nframes: int) -> None:
        self._parts = sorted(parts, key=lambda part: part.start)
        ends = [0, *(part.stop for part in self._parts)]
        if [part.start for part in self._parts] != ends[:-1] or ends[-1] != nframes:
            found = ", ".join(f"{part.start}:{part.stop}" for part in self._parts)
            raise StorageError(f"The parts hold frames {found}, not 0:{nframes}: compute the task again.")

    def __contains__(self, name: str) -> bool:
        return name in self._parts[0]

    def pieces(self, name: str) -> Iterator[Array]:
        """Yield the rows of a signal, part by part."""
        for part in self._parts:
            yield part[name]

    def whole(self, name: str) -> Array:
        """Return all rows of a signal; of a single part, mapped."""
        if len(self._parts) == 1:
            return self._parts[0][name]
        return np.concatenate([part[name] for part in self._parts])
