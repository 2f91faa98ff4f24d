"""The metadata that Facemap writes beside its keypoints: a pickle, read as untrusted as all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from fmdj_cloud.contracts import BBox, read_bbox
from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.importing.machine import load_pickle
from fmdj_cloud.worker.importing.proc import Proc, unwrapped
from fmdj_cloud.worker.importing.refusal import RefusedError
from fmdj_cloud.worker.svd.geometry import Size

_MAX_BYTES = 1 << 20
"""Facemap's has less than 1 kB."""
_MAX_BATCH = 1 << 20


@dataclass(frozen=True)
class PoseMetadata:
    """What is known of how keypoints were found; whatever the file doesn't say is empty.

    Attributes
    ----------
    frames : int or None
    body_parts : tuple of str
    bbox : BBox or None
        Part of the frame that was looked at.
    sizes : tuple of (int, int)
        Height and width of every video that was open.
    batch_size : int
        0 where unknown.
    frames_per_s : float
        Speed of the inference, 0 where unknown.
    """

    frames: int | None
    body_parts: tuple[str, ...]
    bbox: BBox | None
    sizes: tuple[Size, ...]
    batch_size: int
    frames_per_s: float


def read_metadata(path: Path) -> PoseMetadata:
    """Read a ``_FacemapPose_metadata.pkl``.

    Raises
    ------
    InputError
        If it can't be read safely (check ``import_file``), or isn't what Facemap writes (``import_content``).
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise RefusedError(f"it has {path.stat().st_size} bytes, and Facemap's metadata less than {_MAX_BYTES}")
        values = unwrapped(load_pickle(memoryview(path.read_bytes())))
        if not isinstance(values, dict):
            raise RefusedError("it doesn't hold the dict that Facemap saves")
    except RefusedError as error:
        raise InputError(
            f"{path.name} can't be imported, since {error}: upload the file again as Facemap wrote it, or remove it; "
            "the keypoints can be imported without.",
            check="import_file",
        ) from error
    return _metadata(Proc(path.name, values))


def _metadata(proc: Proc) -> PoseMetadata:
    (frames,) = proc.integers("total_frames")[:1] or (None,)
    (batch,) = proc.integers("batch_size")[:1] or (0,)
    speed = proc.value("inference_speed")
    known = isinstance(speed, int | float) and math.isfinite(speed) and speed > 0
    return PoseMetadata(
        frames=frames,
        body_parts=_body_parts(proc),
        bbox=_bbox(proc),
        sizes=_sizes(proc),
        batch_size=batch if 0 <= batch <= _MAX_BATCH else 0,
        frames_per_s=float(speed) if known else 0.0,
    )


def _body_parts(proc: Proc) -> tuple[str, ...]:
    names = proc.list("bodyparts")
    if not all(isinstance(name, str) for name in names):
        raise proc.wrong("bodyparts", "isn't a list of names")
    return tuple(names)


def _sizes(proc: Proc) -> tuple[Size, ...]:
    """Return what ``([height, ...], [width, ...])`` says."""
    both = proc.list("image_size")
    if not both:
        return ()
    sides = [[proc.integer("image_size", side) for side in each] for each in both if isinstance(each, list | tuple)]
    if len(both) != 2 or len(sides) != 2 or len(sides[0]) != len(sides[1]):
        raise proc.wrong("image_size", "isn't a list of heights and one of widths")
    return tuple(zip(sides[0], sides[1], strict=True))


def _bbox(proc: Proc) -> BBox | None:
    """Return the box, None for one that isn't a single box: it is only told, nothing is computed with it."""
    try:
        boxes = read_bbox(proc.list("bbox"), 1)
    except ValueError:
        return None
    return boxes[0] if boxes else None
