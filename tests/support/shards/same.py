"""Whether two runs have published the same, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fmdj_cloud.contracts import RunSpec
from tests.support.shards.pods import Lab

_OWN = {"run_id"}
"""Attributes in which runs differ by what they are."""
_PLACES = {"filenames", "save_path"}
"""Of Facemap's file: where it was computed."""


def everything_in(path: Path) -> dict[str, Any]:
    """Return all datasets and attributes of an HDF5 file."""
    found: dict[str, Any] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]
        found.update({f"{name}@{key}": value for key, value in item.attrs.items() if key not in _OWN})

    with h5py.File(path) as file:
        take("", file)
        file.visititems(take)
    return found


def proc_in(path: Path) -> dict[str, Any]:
    """Return what Facemap's file holds, but for the places."""
    proc = np.load(path, allow_pickle=True).item()
    return {name: value for name, value in proc.items() if name not in _PLACES}


def assert_identical(first: Any, second: Any, where: str = "") -> None:
    """Compare values, bit for bit, and their types."""
    assert type(first) is type(second), where
    if isinstance(first, dict):
        assert list(first) == list(second), where
        for key in first:
            assert_identical(first[key], second[key], f"{where}/{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for number, (one, other) in enumerate(zip(first, second, strict=True)):
            assert_identical(one, other, f"{where}/{number}")
    elif isinstance(first, np.ndarray) and first.dtype != object:
        assert (first.dtype, first.shape) == (second.dtype, second.shape), where
        assert first.tobytes() == second.tobytes(), where
    else:
        assert repr(first) == repr(second), where


def assert_same_svd(lab: Lab, first: RunSpec, second: RunSpec) -> None:
    """Compare all that two SVD runs have published."""
    assert_identical(*(everything_in(lab.output(spec, "signals.h5")) for spec in (first, second)))
    assert_identical(*(proc_in(lab.output(spec, "_proc.npy")) for spec in (first, second)))
    ours, theirs = lab.manifest(first), lab.manifest(second)
    assert (ours.nframes, ours.views, ours.signals) == (theirs.nframes, theirs.views, theirs.signals)


def assert_same_poses(lab: Lab, first: RunSpec, second: RunSpec) -> None:
    """Compare all that two pose runs have published, but for the speed that their metadata tell."""
    ours, theirs = lab.manifest(first), lab.manifest(second)
    assert (ours.nframes, ours.views, ours.signals) == (theirs.nframes, theirs.views, theirs.signals)
    names = [file.path.partition("/")[2] for file in ours.files if file.path.endswith(".h5")]
    assert names == [file.path.partition("/")[2] for file in theirs.files if file.path.endswith(".h5")]
    for name in names:
        assert_identical(*(everything_in(lab.output(spec, name)) for spec in (first, second)))
