"""Types, bounds and cells as the reference pages write them."""

from __future__ import annotations

import re
import types
import typing
from typing import Any

BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "pattern": "matches"}


def type_name(annotation: Any) -> str:
    """Return a type in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        limits = bounds([inner for item in arguments[1:] for inner in (item, *getattr(item, "metadata", ()))])
        return ", ".join(filter(None, (type_name(arguments[0]), limits)))
    if origin is typing.Literal:
        return " or ".join(f"`{getattr(a, 'value', a)}`" for a in arguments)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(type_name(a) for a in arguments if a is not type(None)) + ", or empty"
    if origin is not None:
        return f"{origin.__name__} of {' to '.join(type_name(a) for a in arguments if a is not ...)}"
    return getattr(annotation, "__name__", str(annotation))


def bounds(metadata: list[Any]) -> str:
    """Return the limits that annotations set, in words."""
    found = []
    for item in metadata:
        for name, word in BOUNDS.items():
            value = getattr(item, name, None)
            if value is not None:
                found.append(f"{word} `{value}`")
    return ", ".join(dict.fromkeys(found))


def cell(text: str) -> str:
    """Return text that may stand in a cell of a table."""
    line = re.sub(r":[a-z]+:`~?(?:fmdj_cloud\.)?", "`", " ".join(text.split()).replace("|", r"\|").replace("``", "`"))
    parts = line.split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))
