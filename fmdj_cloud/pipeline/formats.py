"""In what format a table was declared, seen from its columns: DataJoint 0.14's or 2.x's.

Both keep a column's DataJoint type, where SQL has none of that name, in the column's comment, as ``:uuid:`` does
in both. 2.x does so for all its core types and codecs, which makes its tables unreadable to 0.14; 0.14 has
native types, and its blobs look to 2.x like mere bytes.
"""

from __future__ import annotations

import enum
import re
from typing import Any

from datajoint.codecs import lookup_codec
from datajoint.errors import DataJointError

from fmdj_cloud.errors import ConfigError

_BOTH = ("uuid", "attach")
"""Markers of 0.14 that don't hinder us; 2.x uses the first, too."""
_ELSEWHERE = re.compile(r"(blob|attach|filepath)@|external")
"""Markers of 0.14: the column holds where the value is."""


class Format(enum.StrEnum):
    """Which clients can read a table."""

    NATIVE = "0.14"
    """DataJoint 0.13 and 0.14; 2.x too, but for what blobs hold."""
    CORE = "2.x"
    """DataJoint 2 alone."""


def format_of(table: Any) -> Format:
    """Return the format of a table.

    Parameters
    ----------
    table : datajoint table
        Class or instance; declared, with columns of its own: those of foreign keys have no comment in either format.
    """
    return Format.CORE if any(map(_is_core, table.heading.attributes.values())) else Format.NATIVE


def require_values(table: Any) -> None:
    """Refuse a table with columns whose values are not in the database, or in a codec that isn't known here.

    Raises
    ------
    ConfigError
        Naming the first such column.
    """
    for attribute in table.heading.attributes.values():
        kind = str(attribute.original_type or attribute.type)
        if _ELSEWHERE.match(kind) or (attribute.codec is not None and not _is_known(kind)):
            raise ConfigError(
                f"The column {attribute.name} of {table.full_table_name} is of the type {kind}, whose values lie in a "
                "store, or are made by a codec, of the lab's own, which fmdj can't read or write: give that column the "
                "Element's type (longblob, or <blob> in DataJoint 2)."
            )


def _is_known(codec: str) -> bool:
    try:
        lookup_codec(codec)
    except DataJointError:
        return False
    return True


def _is_core(attribute: Any) -> bool:
    kind = attribute.original_type
    return attribute.codec is not None or (
        kind is not None and kind not in _BOTH and _ELSEWHERE.match(str(kind)) is None
    )
