"""Finished parts of an attempt, which the next one can go on from."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from fmdj_cloud.contracts import Frozen

log = logging.getLogger(__name__)

Points = npt.NDArray[np.float32]
"""(frames, body parts, 3): x, y, likelihood."""

INFO_MAX_BYTES = 1 << 16
_SUFFIX = ".npy"


class PartInfo(Frozen):
    """What a part holds: ``part-<i>.json``, written after ``part-<i>.npy``."""

    content_digest: str
    """Of the run: equal content, equal results, whichever attempt computed them."""
    view: Annotated[int, Field(ge=0)]
    file: Annotated[int, Field(ge=0)]
    """Place among the sequential files."""
    start: Annotated[int, Field(ge=0)]
    stop: Annotated[int, Field(ge=0)]
    """Frames of the file."""
    ends: bool
    """Whether nothing can be decoded behind `stop`."""
    sha256: str
    device: str
    seconds: Annotated[float, Field(ge=0)] = 0.0
    """That passed while it was computed."""
    network_s: Annotated[float, Field(ge=0)] = 0.0
    """Of them, what the network took."""


def write_part(folder: Path, number: int, info: PartInfo, points: Points) -> None:
    """Write a part; its description, which makes it count, comes last.

    Parameters
    ----------
    folder : Path
    number : int
    info : PartInfo
        Its `sha256` is filled in.
    points : ndarray
        Of frames ``start:stop``.
    """
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(points, np.float32), allow_pickle=False)
    data = buffer.getvalue()
    path = folder / f"part-{number}{_SUFFIX}"
    path.write_bytes(data)
    described = info.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})
    fresh = folder / f"part-{number}.new"
    fresh.write_text(described.model_dump_json())
    os.replace(fresh, folder / f"part-{number}.json")


def part_infos(folder: Path) -> list[Path]:
    """Return the descriptions of a folder's parts."""
    return sorted(folder.glob("part-*.json")) if folder.is_dir() else []


def data_of(info: Path) -> Path:
    """Return the file that a description describes."""
    return info.with_suffix(_SUFFIX)


def understood(data: bytes, content_digest: str) -> PartInfo | None:
    """Return a description, None if it isn't of a part of the same content."""
    try:
        info = PartInfo.model_validate_json(data)
    except ValidationError:
        return None
    return info if info.content_digest == content_digest and info.start <= info.stop else None


def read_parts(
    folder: Path, content_digest: str, frames: dict[tuple[int, int], int], body_parts: int
) -> list[tuple[PartInfo, Points]]:
    """Return the parts of earlier attempts that fit.

    Parameters
    ----------
    folder : Path
    content_digest : str
    frames : dict of (view, file) to int
        Frames that each file promises.
    body_parts : int
    """
    found = []
    for path in part_infos(folder):
        info = understood(path.read_bytes(), content_digest)
        points = _points(data_of(path), info) if info else None
        if (
            info is None
            or points is None
            or info.stop > frames.get((info.view, info.file), -1)
            or points.shape != (info.stop - info.start, body_parts, 3)
        ):
            log.warning("%s of an earlier attempt doesn't fit this run: it is computed again", path.stem)
            continue
        found.append((info, points))
    return found


def missing(parts: Iterable[PartInfo], frames: int) -> list[tuple[int, int]]:
    """Return the ranges of a file's frames that no part covers.

    Parameters
    ----------
    parts : iterable of PartInfo
        Of this file.
    frames : int
        Frames that it promises.
    """
    covered = sorted(parts, key=lambda info: info.start)
    end = min((info.stop for info in covered if info.ends), default=frames)
    ranges, reached = [], 0
    for info in covered:
        if info.start > reached:
            ranges.append((reached, min(info.start, end)))
        reached = max(reached, info.stop)
    if reached < end:
        ranges.append((reached, end))
    return [(start, stop) for start, stop in ranges if start < stop]


def _points(path: Path, info: PartInfo) -> Points | None:
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != info.sha256:
            return None
        points = np.load(io.BytesIO(data), allow_pickle=False)
    except (OSError, ValueError):
        return None
    return points if points.dtype == np.float32 else None
