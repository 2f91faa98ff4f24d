"""Fields of JSON objects, whatever they hold: what isn't there or isn't what it should be reads as nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

SHORT = 300
"""Characters of a message that are kept as evidence: what people need, and all of it fits the ledger's column."""


def mapping(value: object) -> Mapping[str, Any]:
    """Return an object's fields, none if it isn't an object."""
    return value if isinstance(value, Mapping) else {}


def objects(value: object) -> tuple[Mapping[str, Any], ...]:
    """Return the objects of a list; what else is in it is left out."""
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list | tuple) else ()


def text(value: object) -> str:
    """Return a text that can be stored anywhere: without control characters and halves of characters."""
    if not isinstance(value, str):
        return ""
    whole = value.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() or c == "\n" else " " for c in whole)


def number(value: object) -> int | None:
    """Return a whole number, of a size that Kubernetes can keep."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << 63:
        return None
    return value


def count(value: object) -> int:
    """Return how many, 0 if that isn't known."""
    return max(0, number(value) or 0)


def flag(value: object) -> bool:
    """Return whether a condition's status or a switch is on."""
    return value is True or value == "True"


def moment(value: object) -> dt.datetime | None:
    """Return a time in UTC; Kubernetes writes RFC 3339, with microseconds in some places."""
    if not isinstance(value, str):
        return None
    try:
        when = dt.datetime.fromisoformat(value)
        return when.replace(tzinfo=dt.UTC) if when.tzinfo is None else when.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def shorten(words: str, *, keep_end: bool = False) -> str:
    """Return a message on one line, cut to what is kept as evidence.

    Parameters
    ----------
    words : str
    keep_end : bool
        Whether the end matters more than the beginning, as in a log.
    """
    line = " ".join(words.split())
    if len(line) <= SHORT:
        return line
    return f"…{line[1 - SHORT :]}" if keep_end else f"{line[: SHORT - 1]}…"


def evidence(**found: object) -> dict[str, str]:
    """Return evidence as an outcome keeps it: what is empty is left out, what is long is cut."""
    return {name: shorten(str(value)) for name, value in found.items() if value is not None and value != ""}
