"""The keypoints of a ``_FacemapPose.h5`` that nobody vouches for.

HDF5 is a small file system: its links lead to other files, its datasets may lie in other files, be made up by
plug-ins, or claim far more numbers than there are bytes. Only what Facemap writes is read: numbers that lie in the
file itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from fmdj_cloud.errors import InputError
from fmdj_cloud.signals_h5 import KEYPOINT_FIELDS
from fmdj_cloud.worker.importing.refusal import RefusedError, shown

Points = npt.NDArray[np.float32]
"""(frames, body parts, 3): x, y, likelihood."""

_SCORER = "Facemap"
_PANDAS = "df_with_missing"
"""Where Facemap before 1.0 put a table of pandas."""
_MAX_PARTS = 1000
_MAX_FRAMES = 1 << 28
_MAX_RATIO = 4
"""Numbers that were compressed afterwards take more than a quarter of their size: measurements are noise."""
_SLACK_BYTES = 1 << 20
_FILTERS = frozenset(
    {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF}
)
"""Those that are part of h5py: no other library is loaded for a file."""
_BROKEN = (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What h5py raises on files that are damaged."""


def read_points(path: Path, body_parts: tuple[str, ...]) -> Points:
    """Return the points in a file.

    Parameters
    ----------
    path : Path
    body_parts : tuple of str
        Those that it must hold, and no others; the points come in this order.

    Returns
    -------
    ndarray of float32, shape (frames, body parts, 3)

    Raises
    ------
    InputError
        If it can't be read safely (check ``import_file``), or holds other body parts (``body_parts``).
    """
    try:
        if path.stat().st_size == 0:
            raise RefusedError("it is empty")
        try:
            file = h5py.File(path, "r")
        except _BROKEN as error:
            raise RefusedError("it isn't an HDF5 file, or was cut off") from error
        with file:
            try:
                return _points(file, path, body_parts)
            except _BROKEN as error:
                raise RefusedError("it is damaged") from error
    except RefusedError as error:
        raise InputError(
            f"{path.name} can't be imported, since {error}: upload the file again as Facemap wrote it, or set "
            "task_mode='trigger' to compute it.",
            check="import_file",
        ) from error


def _points(file: h5py.File, path: Path, body_parts: tuple[str, ...]) -> Points:
    if _PANDAS in file:
        raise RefusedError("it is a table of pandas, as Facemap wrote before 1.0")
    scorer = _member(file, _SCORER, h5py.Group)
    _check_parts(path, _names(scorer), body_parts)
    datasets = []
    for part in body_parts:
        group = _member(scorer, part, h5py.Group)
        datasets.append([_member(group, field, h5py.Dataset) for field in KEYPOINT_FIELDS])
    frames = _check_datasets((dataset for three in datasets for dataset in three), path.stat().st_size)
    points = np.empty((frames, len(body_parts), len(KEYPOINT_FIELDS)), np.float32)
    for place, three in enumerate(datasets):
        for number, dataset in enumerate(three):
            points[:, place, number] = dataset[()]
    return points


def _member(group: h5py.Group, name: str, kind: type) -> Any:
    """Return what a group holds itself, whatever its links claim."""
    link = group.get(name, getlink=True)
    if link is None:
        raise RefusedError(f"it has no {shown(name)} where Facemap writes keypoints")
    if type(link) is not h5py.HardLink:
        raise RefusedError(f"its {shown(name)} is a link to somewhere else")
    found = group[name]
    if type(found) is not kind:
        raise RefusedError(f"its {shown(name)} is a {type(found).__name__}, not a {kind.__name__}")
    return found


def _names(scorer: h5py.Group) -> list[str]:
    if len(scorer) > _MAX_PARTS:
        raise RefusedError(f"it holds {len(scorer)} body parts")
    return list(scorer)


def _check_parts(path: Path, found: list[str], declared: tuple[str, ...]) -> None:
    missing = [part for part in declared if part not in found]
    more = [part for part in found if part not in declared]
    if not missing and not more:
        return
    wrong = [f"lacks {', '.join(map(_plain, missing[:3]))}"] * bool(missing)
    wrong += [f"holds {', '.join(map(_plain, more[:3]))}, which the model isn't declared to find"] * bool(more)
    raise InputError(
        f"{path.name} holds {len(found)} body parts and the model is declared with {len(declared)}; the file "
        f"{' and '.join(wrong)}: correct FacemapModel.BodyPart, or name the model that made the file.",
        check="body_parts",
    )


def _plain(name: str) -> str:
    return name if name.isprintable() and len(name) <= 64 else shown(name)


def _check_datasets(datasets: Iterable[h5py.Dataset], size: int) -> int:
    """Return the frames of all datasets, if they are what Facemap writes."""
    frames, total = None, 0
    for dataset in datasets:
        name = shown(dataset.name)
        made = dataset.id.get_create_plist()
        if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
            raise RefusedError(f"its {name} lies in another file")
        filters = {made.get_filter(number)[0] for number in range(made.get_nfilters())}
        if filters - _FILTERS:
            raise RefusedError(f"its {name} is packed with a filter that Facemap doesn't use")
        kind = dataset.id.get_type()
        if type(kind) is not h5py.h5t.TypeFloatID or kind.get_size() not in (2, 4, 8):
            raise RefusedError(f"its {name} doesn't hold plain numbers")
        shape = dataset.shape
        if shape is None or len(shape) != 1 or not 0 < shape[0] <= _MAX_FRAMES:
            raise RefusedError(f"its {name} has the shape {shown(str(shape))}, not one number for every frame")
        if frames not in (None, shape[0]):
            raise RefusedError(f"its {name} has {shape[0]} numbers and others {frames}")
        frames = int(shape[0])
        total += frames * kind.get_size()
    if frames is None or total > _MAX_RATIO * size + _SLACK_BYTES:
        raise RefusedError(f"it declares {total} bytes of numbers and has {size} bytes")
    return frames
