"""The table that a restriction is about, and values that are compared with its attributes: pure."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from fmdj_cloud.errors import UsageError
from fmdj_cloud.pipeline.codec import is_blob, is_uuid, to_sql


@dataclass(frozen=True)
class Columns:
    """The table that is restricted.

    Attributes
    ----------
    table : str
        Its name, for sentences.
    attributes : mapping
        Name -> :class:`datajoint.heading.Attribute`.
    backend : str
        ``postgresql`` or ``mysql``.
    quote : callable
        Attribute's name -> column, quoted, with the table's alias.
    """

    table: str
    attributes: Mapping[str, Any]
    backend: str
    quote: Callable[[str], str]

    def find(self, name: str) -> Any:
        """Return an attribute.

        Raises
        ------
        UsageError
            If there is none of that name, or it holds a blob.
        """
        found = name if name in self.attributes else name.lower()
        if found not in self.attributes:
            known = ", ".join(n for n, attribute in self.attributes.items() if not is_blob(attribute))
            raise UsageError(f"{self.table} has no attribute {name!r}: it has {known}.")
        if is_blob(self.attributes[found]):
            raise UsageError(f"{self.table}.{found} is a blob, and can't be compared: leave it out.")
        return self.attributes[found]


def number(text: str) -> int | float:
    """Return the number that text stands for.

    Raises
    ------
    ValueError
        If it is none, or not finite.
    """
    try:
        return int(text)
    except ValueError:
        found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"{text} is no finite number")
    return found


def fitted(attribute: Any, value: Any, columns: Columns) -> Any:
    """Return a value as an argument that is compared with an attribute.

    Raises
    ------
    UsageError
        If it doesn't fit.
    """
    name, kind = attribute.name, str(attribute.type).lower()

    def refuse(what: str) -> NoReturn:
        raise UsageError(f"{name} = {value!r} doesn't fit {columns.table}: {name} is {what}.")

    if is_uuid(attribute):
        try:
            return to_sql(attribute, uuid.UUID(str(value)), columns.backend)
        except ValueError:
            refuse("a UUID")
    if kind == "boolean":
        words = {"1": True, "0": False, "true": True, "false": False}
        return words[str(value).lower()] if str(value).lower() in words else refuse("true or false")
    if attribute.numeric:
        try:
            return value if isinstance(value, bool | int) else number(str(value).strip())
        except ValueError:
            refuse("a number")
    text = str(value)
    if kind.startswith(("date", "timestamp")):
        try:
            dt.datetime.fromisoformat(text)
        except ValueError:
            refuse("a date" if kind == "date" else "a date and time, such as '2026-01-31 09:30:00'")
    return text
