"""What a repair replaces, kept in an HDF5 file that holds no pickle.

A group per table, a group per row in it (numbered from 0): its plain values are attributes, its arrays datasets;
a blob that holds no array is kept as the bytes that the database had.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.names import canonical_key, sha256_text
from fmdj_cloud.pipeline.codec import pack
from fmdj_cloud.pipeline.result_rows import Rows

_FORMAT = "fmdj-audit-replaced"


def kept_path(folder: Path, pipeline: str, table: str, key: Mapping[str, Any], now: dt.datetime) -> Path:
    """Return the name of the file that keeps what is replaced of a key."""
    digest = sha256_text(canonical_key(key))[:12]
    return folder / f"{pipeline}-{table}-{digest}-{now:%Y%m%dT%H%M%S%f}.h5"


def keep(path: Path, key: Mapping[str, Any], tables: Mapping[str, tuple[Rows, Sequence[str], Sequence[str]]]) -> None:
    """Write rows to a new file; it is on disk when this returns.

    Parameters
    ----------
    path : Path
    key : Mapping
    tables : Mapping
        Name -> rows, the columns that tell them apart, and the others.

    Raises
    ------
    ConfigError
        If the file can't be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(partial, "x") as file:
            file.attrs["format"], file.attrs["version"], file.attrs["key"] = _FORMAT, 1, canonical_key(key)
            for name, (rows, own_key, others) in tables.items():
                _write(file.create_group(name), rows, own_key, others)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.rename(path)
    except OSError as error:
        raise ConfigError(
            f"What is replaced can't be kept in {path} ({error}): choose another folder with --keep."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _write(group: h5py.Group, rows: Rows, own_key: Sequence[str], others: Sequence[str]) -> None:
    for number, place in enumerate(rows.all(*own_key, order=own_key) if own_key else [{}]):
        row = rows.one(*others, **place) if others else {}
        if row is None:
            continue
        one = group.create_group(str(number))
        for name, value in {**place, **row}.items():
            if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
                one[name] = value
            elif value is None:
                one.attrs[name] = h5py.Empty("f")
            elif isinstance(value, bool | int | float | str):
                one.attrs[name] = value
            elif isinstance(value, dt.date | dt.datetime):
                one.attrs[name] = value.isoformat()
            else:
                one[name] = np.frombuffer(pack(value), np.uint8)
