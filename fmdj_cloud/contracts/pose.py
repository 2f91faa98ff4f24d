"""Pose inference: what part of a frame the network sees, and its parameters."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, model_validator

from fmdj_cloud.contracts.base import Frozen

_FIELDS = ("y0", "y1", "x0", "x1")


class BBox(Frozen):
    """Part of a view that is looked at: rows ``y0:y1``, columns ``x0:x1``, half-open."""

    y0: Annotated[int, Field(ge=0)]
    y1: int
    x0: Annotated[int, Field(ge=0)]
    x1: int

    @model_validator(mode="after")
    def _not_empty(self) -> BBox:
        if self.y1 <= self.y0 or self.x1 <= self.x0:
            raise ValueError(f"the bounding box rows {self.y0}:{self.y1}, columns {self.x0}:{self.x1} is empty")
        return self

    def __str__(self) -> str:
        return f"rows {self.y0}:{self.y1}, columns {self.x0}:{self.x1}"


class Precision(enum.StrEnum):
    """What the network computes in."""

    FP32 = "fp32"
    TF32 = "tf32"
    """Only on a GPU: products of 10-bit mantissas."""
    BF16 = "bf16"


class PoseParams(Frozen):
    """Parameters of pose inference, or of an import of its results, in canonical form."""

    model_uri: str = ""
    """Empty for an import: nothing is computed."""
    model_sha256: str = ""
    body_parts: tuple[str, ...]
    """Those that the model is declared to find, in any order."""
    bbox: tuple[BBox, ...] = ()
    """One for every view; empty is the whole of each."""
    pose_view: Annotated[int, Field(ge=0)] = 0
    precision: Precision = Precision.FP32


def read_bbox(value: Any, views: int) -> tuple[BBox, ...]:
    """Return the bounding boxes that a task's ``bbox`` means, one for every view.

    Parameters
    ----------
    value : object
        None or empty for whole frames; ``[y0, y1, x0, x1]`` as element-facemap documents it for one view, with
        Facemap's order of rows first, whatever it calls them (x1, x2, y1, y2); a list of such lists, one for
        every view, as Facemap takes it; or mappings with the names y0, y1, x0, x1 in place of any list.
    views : int
        Views of the recording.

    Raises
    ------
    ValueError
        One sentence about what is wrong with it.
    """
    plain = value.tolist() if hasattr(value, "tolist") else value
    if plain is None or (isinstance(plain, Sequence | Mapping) and len(plain) == 0):
        return ()
    if isinstance(plain, Mapping) or _is_flat(plain):
        plain = [plain]
    if not isinstance(plain, Sequence) or isinstance(plain, str):
        raise ValueError(f"bbox is {value!r}, and should be [y0, y1, x0, x1] or one such list for every view")
    if len(plain) != views:
        raise ValueError(f"bbox holds {len(plain)} boxes for {views} view(s): give one for every view, or none")
    return tuple(_box(item, view) for view, item in enumerate(plain))


def _is_flat(value: Any) -> bool:
    return isinstance(value, Sequence) and len(value) == len(_FIELDS) and all(_is_number(item) for item in value)


def _is_number(value: Any) -> bool:
    value = value.item() if hasattr(value, "item") else value
    return isinstance(value, int | float) and not isinstance(value, bool)


def _box(item: Any, view: int) -> BBox:
    plain = item.tolist() if hasattr(item, "tolist") else item
    if isinstance(plain, Mapping):
        named = dict(plain)
    elif _is_flat(plain):
        named = dict(zip(_FIELDS, plain, strict=True))
    else:
        raise ValueError(f"bbox of view {view} is {item!r}, and should be [y0, y1, x0, x1]")
    if set(named) != set(_FIELDS) or not all(_is_number(number) for number in named.values()):
        raise ValueError(f"bbox of view {view} is {item!r}, and should have the numbers y0, y1, x0 and x1")
    numbers = {name: float(number) for name, number in named.items()}
    if not all(number.is_integer() and number >= 0 for number in numbers.values()):
        raise ValueError(f"bbox of view {view} is {item!r}: its edges must be whole pixels from 0 on")
    whole = {name: int(number) for name, number in numbers.items()}
    if whole["y1"] <= whole["y0"] or whole["x1"] <= whole["x0"]:
        raise ValueError(
            f"bbox of view {view} has rows {whole['y0']}:{whole['y1']} and columns {whole['x0']}:{whole['x1']}, which "
            "is empty: give [y0, y1, x0, x1] with y0 < y1 and x0 < x1"
        )
    return BBox(**whole)
