"""What the basis stage finds, and its file.

``basis.h5`` (HDF5, written once, arrays whole and uncompressed so that they can be mapped)::

    /                       attributes: format "fmdj-turbo-basis", version 1, nframes
    /avgframe, /avgmotion   (P,) float32, gray levels: all bins of all views
    /<slot>/<mot or mov>/masks            (pixels, c) float32, unit norm
    /<slot>/<mot or mov>/singular_values  (c,) float32
    /<slot>/<mot or mov>/offsets          (c,) float32: what the mean projects to
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy.typing as npt

from fmdj_cloud.errors import StorageError
from fmdj_cloud.worker.stage_files import check_own
from fmdj_cloud.worker.turbo.mapped import mapped
from fmdj_cloud.worker.turbo.regions import Movement

Array = npt.NDArray[Any]

_FORMAT = "fmdj-turbo-basis"
_VERSION = 1


@dataclass(frozen=True)
class Subspace:
    """Components of one region.

    Attributes
    ----------
    masks : ndarray of float32, shape (pixels, c)
        Unit norm.
    singular_values : ndarray of float32, shape (c,)
    offsets : ndarray of float32, shape (c,)
        What the mean projects to: subtracted from projections of values whose mean wasn't.
    """

    masks: Array
    singular_values: Array
    offsets: Array

    @property
    def count(self) -> int:
        """Components."""
        return len(self.singular_values)


@dataclass(frozen=True)
class Bases:
    """What projections need.

    Attributes
    ----------
    nframes : int
        Frames of the recording that it was made of.
    avgframe, avgmotion : ndarray of float32, shape (P,)
        Gray levels, all bins of all views.
    subspaces : dict
        By the region's slot and what it is of.
    """

    nframes: int
    avgframe: Array
    avgmotion: Array
    subspaces: dict[tuple[int, Movement], Subspace]


def write_bases(path: Path, bases: Bases) -> None:
    """Write a basis file."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": _FORMAT, "version": _VERSION, "nframes": bases.nframes})
        file["avgframe"] = bases.avgframe
        file["avgmotion"] = bases.avgmotion
        for (slot, movement), subspace in bases.subspaces.items():
            group = file.create_group(f"{slot}/{movement}")
            group["masks"] = subspace.masks
            group["singular_values"] = subspace.singular_values
            group["offsets"] = subspace.offsets


def read_bases(path: Path) -> Bases:
    """Read a basis file; masks are mapped, not read.

    Raises
    ------
    StorageError
        If it isn't one.
    """
    try:
        with h5py.File(path, "r") as file:
            found = file.attrs.get("format"), file.attrs.get("version")
            if found != (_FORMAT, _VERSION):
                raise StorageError(
                    f"{path.name} is {found[0]} version {found[1]}, not {_FORMAT} version {_VERSION}: compute the task "
                    "again with one version of fmdj in all its stages."
                )
            check_own(file)
            return Bases(
                nframes=int(file.attrs["nframes"]),
                avgframe=file["avgframe"][()],
                avgmotion=file["avgmotion"][()],
                subspaces={
                    (int(slot), movement): Subspace(
                        masks=mapped(path, file[slot][movement]["masks"]),
                        singular_values=file[slot][movement]["singular_values"][()],
                        offsets=file[slot][movement]["offsets"][()],
                    )
                    for slot in file
                    if isinstance(file[slot], h5py.Group)
                    for movement in ("mot", "mov")
                    if movement in file[slot]
                },
            )
    except (OSError, KeyError) as error:
        raise StorageError(f"{path.name} can't be read ({error}): compute the task again.") from error
