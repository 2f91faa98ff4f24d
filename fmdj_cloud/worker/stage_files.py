"""HDF5 files that one stage of a run leaves for another: each says what it is, and in which version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
            check_own(file)
            yield file
    except (OSError, KeyError) as error:
        raise StorageError(f"{path.name} can't be read ({error}): compute the task again.") from error


def check_own(file: h5py.File) -> None:
    """Refuse a file that leads to other files: whoever may write where stages meet could have ours read, and published.

    Raises
    ------
    StorageError
        If it holds a link, or numbers that lie elsewhere.
    """

    def is_link(name: str, link: Any) -> str | None:
        return None if isinstance(link, h5py.HardLink) else name

    def is_elsewhere(name: str, item: Any) -> str | None:
        if not isinstance(item, h5py.Dataset):
            return None
        made = item.id.get_create_plist()
        return name if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count() else None

    found = file.visititems_links(is_link) or file.visititems(is_elsewhere)
    if found:
        name = Path(file.filename).name
        raise StorageError(f"{name} leads to another file at {found!r}, which no stage writes: compute the task again.")
