"""What a task of pose inference asks for -> the canonical :class:`PoseParams`: pure.

The Element has one column for it, ``bbox``. It holds a box as :func:`fmdj_cloud.contracts.read_bbox` reads it, or a
mapping with the names `bbox`, `views` (as in ``facemap_params``) and `pose_view`: the view whose keypoints are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fmdj_cloud.contracts import BBox, PoseParams, TaskRecord, read_bbox
from fmdj_cloud.control.params import as_integer
from fmdj_cloud.control.views import Grouping, group_by_id
from fmdj_cloud.errors import InputError

_NAMES = ("bbox", "views", "pose_view")
Size = tuple[int, int]


def parse_pose(task: TaskRecord) -> tuple[PoseParams, Grouping, tuple[str, ...]]:
    """Return what a task asks for, without a model's place and precision, which aren't the task's.

    Parameters
    ----------
    task : TaskRecord
        Of pose inference.

    Returns
    -------
    params : PoseParams
    grouping : Grouping
        The files of the recording: outer sequential, inner simultaneous.
    notes : tuple of str
        What a person should know.

    Raises
    ------
    InputMissingError
        If the recording has no files (yet).
    InputError
        Checks ``bbox``, ``views``, ``pose_view``, ``model``.
    """
    if task.params_problem:
        raise InputError(task.params_problem, check="bbox")
    boxes, views, asked = _split(task.bbox)
    grouping, notes = group_by_id(task, views, "bbox['views']")
    pose_view = 0 if asked is None else as_integer(asked)
    number = len(grouping[0])
    if pose_view is None or not 0 <= pose_view < number:
        raise InputError(
            f"bbox['pose_view'] is {asked!r} and the recording has {number} view{'s' if number > 1 else ''}, counted "
            "from 0: correct it, or group the files with bbox['views'].",
            check="pose_view",
        )
    return (
        PoseParams(body_parts=_body_parts(task), bbox=_boxes(boxes, number), pose_view=pose_view),
        grouping,
        notes,
    )


def check_boxes(boxes: Sequence[BBox], sizes: Sequence[Size | None], *, exact: bool) -> None:
    """Refuse boxes that lie outside of their frames.

    Parameters
    ----------
    boxes : sequence of BBox
        One for every view, or none at all.
    sizes : sequence of (int, int) or None
        Height and width of every view where they are known.
    exact : bool
        Whether sizes are those of frames as they are shown. Containers tell of them as they were recorded, which a
        camera that was held upright turns by 90 degrees.

    Raises
    ------
    InputError
        Check ``bbox``.
    """
    for view, (box, size) in enumerate(zip(boxes, sizes, strict=False)):
        if size is None:
            continue
        shown = [size] if exact else [size, size[::-1]]
        if not any(box.y1 <= height and box.x1 <= width for height, width in shown):
            raise InputError(
                f"The bounding box of view {view}, {box}, lies outside of its frames of {size[0]} rows and {size[1]} "
                "columns: draw it on this video; rows come first in [y0, y1, x0, x1].",
                check="bbox",
            )


def _split(value: Any) -> tuple[Any, Any, Any]:
    """Return what stands for the boxes, for views, and for pose_view."""
    plain = value.item() if isinstance(value, np.ndarray) and value.shape == () else value
    if not isinstance(plain, Mapping) or not (set(plain) & set(_NAMES)):
        return plain, None, None
    unknown = sorted(str(name) for name in plain if name not in _NAMES)
    if unknown:
        raise InputError(
            f"bbox has {', '.join(unknown)} beside {', '.join(name for name in _NAMES if name in plain)}: a mapping "
            f"there has the names {', '.join(_NAMES)}, or those of one box, y0, y1, x0, x1.",
            check="bbox",
        )
    return plain.get("bbox"), plain.get("views"), plain.get("pose_view")


def _boxes(value: Any, views: int) -> tuple[BBox, ...]:
    try:
        return read_bbox(value, views)
    except (TypeError, ValueError) as error:
        raise InputError(f"{str(error).rstrip('.')}.", check="bbox") from error


def _body_parts(task: TaskRecord) -> tuple[str, ...]:
    if task.model is None:
        raise InputError("The task's model isn't in FacemapModel any more: insert it again.", check="model")
    if not task.model.body_parts:
        raise InputError(
            f"Model {task.model.name!r} is declared without body parts: insert those that it finds into "
            "FacemapModel.BodyPart.",
            check="model",
        )
    return tuple(sorted(task.model.body_parts))
