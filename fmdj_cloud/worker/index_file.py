"""The indices of a recording's files in a file of their own, so that pods needn't make them again.

``indices.h5`` (HDF5)::

    /                       attributes: format "fmdj-indices", version 1, frames (those that count, of each file)
    /<row>/<view>           attributes: those of the file's facts; datasets: what else an index holds
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from fmdj_cloud.worker.index import Index
from fmdj_cloud.worker.stage_files import stage_file
from fmdj_cloud.worker.video import FileFacts

Indices = tuple[tuple[Index, ...], ...]

_FORMAT = "fmdj-indices"
_VERSION = 1
_FACTS = ("name", "height", "width", "fps", "codec", "header_frames", "frames")
_TYPES = {"times_ms": np.float64, "keys": np.int64, "stamps": np.int64, "entries": np.int64, "ends": np.int64}


def write_indices(path: Path, indices: Indices, frames: Sequence[int]) -> None:
    """Write indices.

    Parameters
    ----------
    path : Path
        New file.
    indices : tuple of tuple of Index
        Outer sequential, inner simultaneous.
    frames : sequence of int
        Frames that count, of each sequential file.
    """
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": _FORMAT, "version": _VERSION, "frames": np.array(frames, np.int64)})
        for row, found in enumerate(indices):
            for view, index in enumerate(found):
                group = file.create_group(f"{row}/{view}")
                group.attrs.update(dataclasses.asdict(index.facts))
                for name, kind in _TYPES.items():
                    values = np.array(getattr(index, name), kind)
                    options = {"compression": "gzip", "shuffle": True} if len(values) else {}
                    group.create_dataset(name, data=values, **options)


def read_indices(path: Path) -> tuple[Indices, tuple[int, ...]]:
    """Read indices, and the frames that count, of each sequential file.

    Raises
    ------
    StorageError
        If it isn't such a file.
    """
    with stage_file(path, _FORMAT, _VERSION) as file:
        rows = range(len(file))
        indices = tuple(tuple(_index(file[f"{row}/{view}"]) for view in range(len(file[str(row)]))) for row in rows)
        return indices, tuple(int(count) for count in file.attrs["frames"])


def _index(group: h5py.Group) -> Index:
    facts = {name: group.attrs[name] for name in _FACTS}
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in facts.items()}
    return Index(FileFacts(**plain), **{name: tuple(group[name][()].tolist()) for name in _TYPES})
