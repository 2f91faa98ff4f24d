"""HDF5 files that one stage of a run leaves for another: each says what it is, and in which version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from fmdj_cloud.errors import StorageError


@contextmanager
def stage_file(path: Path, kind: str, version: int) -> Iterator[h5py.File]:
    """Open a file for reading.

    Parameters
    ----------
    path : Path
    kind : str
        What its attribute `format` should be.
    version : int
        What its attribute `version` should be.

    Raises
    ------
    StorageError
        If it isn't such a file, also where that shows only while it is read.
    """
    try:
        with h5py.File(path, "r") as file:
            found = file.attrs.get("format"), file.attrs.get("version")
            if found != (kind, version):
                raise StorageError(
                    f"{path.name} is {found[0]} version {found[1]}, not {kind} version {version}: compute the task "
                    "again with one version of fmdj in all its stages."
                )
            yield file
    except (OSError, KeyError) as error:
        raise StorageError(f"{path.name} can't be read ({error}): compute the task again.") from error
