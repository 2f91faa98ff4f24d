"""Keypoints of a recording as one table, as the Element's ``get_trajectory`` means it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fmdj_cloud.errors import UsageError
from fmdj_cloud.pipeline.codec import decode

LEVELS = ("model", "bodyparts", "coords")
"""Names of the levels of the columns."""
_COORDS = {"x": "x_pos", "y": "y_pos", "likelihood": "likelihood"}


def get_trajectory(tables: Any, key: Any, body_parts: str | Sequence[str] = "all") -> pd.DataFrame:
    """Return where body parts are in every frame of a recording.

    Parameters
    ----------
    tables : Inference, module or object
        Has the tables ``FacemapModel`` and ``FacemapInference`` (with ``BodyPartPosition``): ours, or a lab's, as
        ``dj.VirtualModule`` opens them; of DataJoint 2's format or of 0.14's.
    key : object
        Restricts FacemapInference to one row.
    body_parts : str or sequence of str
        ``all``, one name, or several, which stand in this order; ``all`` stand by name.

    Returns
    -------
    pandas.DataFrame
        A row for each frame, from 0 (index ``frame``), over all files of the recording. Columns have the levels
        ``model`` (its name), ``bodyparts`` and ``coords`` (x, y in pixels, likelihood 0..1), float32. In frames that
        couldn't be looked at, x and y are NaN and the likelihood is 0.

    Raises
    ------
    UsageError
        If the key means no row or several, or there are no points of a body part.
    """
    found = tables.FacemapInference & key
    keys = found.keys()
    if len(keys) != 1:
        rows = "no row" if not keys else f"{len(keys)} rows"
        raise UsageError(f"{key!r} means {rows} of FacemapInference: give a key that means one.")
    (model,) = (tables.FacemapModel & keys[0]).to_dicts()
    positions = tables.FacemapInference.BodyPartPosition & keys[0]
    there = sorted(map(str, positions.to_arrays("body_part")))
    wanted = _wanted(body_parts, there)
    columns = {
        (str(model["model_name"]), part, coord): values
        for part in wanted
        for coord, values in _points(positions & {"body_part": part}).items()
    }
    header = pd.MultiIndex.from_tuples(columns, names=LEVELS)
    frames = len(next(iter(columns.values()), ()))
    table = pd.DataFrame(dict(enumerate(columns.values())), index=pd.RangeIndex(frames, name="frame"))
    return table.set_axis(header, axis="columns")


def _wanted(body_parts: str | Sequence[str], there: Sequence[str]) -> list[str]:
    names = [body_parts] if isinstance(body_parts, str) else list(body_parts)
    if names == ["all"]:
        names = list(there)
    unknown = [str(name) for name in dict.fromkeys(names) if name not in there]
    if unknown or not names:
        what = f"There are no points of {', '.join(unknown)}" if unknown else "No body part is named"
        raise UsageError(f"{what}: there are those of {', '.join(there) or 'none'}.")
    return list(dict.fromkeys(names))


def _points(position: Any) -> dict[str, Any]:
    heading = position.heading
    (row,) = position.to_dicts()
    return {coord: np.asarray(decode(heading[name], row[name]), np.float32) for coord, name in _COORDS.items()}
