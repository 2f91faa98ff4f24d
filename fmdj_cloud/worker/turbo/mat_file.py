"""Facemap's file for MATLAB, ``<video>_proc.mat``, as Facemap was seen to write it where it is asked for.

Lists of arrays become a variable each, with their place behind the name (``motMask_0``); what is None is left out. One
variable at a time is in memory, twice: MATLAB has columns where numpy has rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import io

from fmdj_cloud.worker.turbo.pickling import Stream


def save_mat(path: Path, proc: Mapping[str, Any]) -> None:
    """Write a file that MATLAB opens.

    Parameters
    ----------
    path : Path
        New file.
    proc : Mapping
        What :func:`~fmdj_cloud.worker.turbo.proc_file.proc_of` returns; its streams are used up.
    """
    with path.open("wb") as file:
        for name, value in _variables(proc):
            io.savemat(file, {name: value}, oned_as="row")  # further variables follow the first


def _variables(proc: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in proc.items():
        if isinstance(value, list) and value and isinstance(value[0], np.ndarray | Stream):
            for place, item in enumerate(value):
                yield f"{name}_{place}", _array(item) if isinstance(item, Stream) else item
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            objects = np.empty(len(value), object)
            objects[:] = value
            yield name, objects
        elif value is not None:
            yield name, value


def _array(stream: Stream) -> Any:
    made = np.empty(stream.shape, stream.dtype)
    flat, done = made.reshape(-1), 0
    for part in stream.parts:
        flat[done : done + part.size] = part.reshape(-1)
        done += part.size
    return made
