"""Keys of the lab's tables in our own: types copied, values in and out, restrictions and joins in SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.codec import decode, to_sql
from fmdj_cloud.pipeline.database import Database

_CORE_TYPES = {
    "integer": "int32",
    "int": "int32",
    "bigint": "int64",
    "smallint": "int16",
    "tinyint": "int8",
    "boolean": "bool",
    "real": "float32",
    "float": "float32",
    "double": "float64",
    "double precision": "float64",
    "timestamp without time zone": "datetime(6)",
    "time without time zone": "time",
}
"""Type that a server reports -> DataJoint's."""
_COPIED = re.compile(
    r"(var)?char\(\d+\)|date|datetime(\(\d\))?|time(\(\d\))?|year|decimal\(\d+,\s*\d+\)"
    r"|(tiny|small|medium|big)?int unsigned|mediumint|enum\(.+\)",
    re.IGNORECASE,
)
KEYS_PER_QUERY = 200


def key_type(attribute: Any, backend: str, table: str) -> str:
    """Return the DataJoint type of a column that holds the values of another table's key attribute.

    Parameters
    ----------
    attribute : datajoint.heading.Attribute
    backend : str
        ``postgresql`` or ``mysql``.
    table : str
        Name of the other table, for errors.

    Raises
    ------
    ConfigError
        If there is none: an enum on PostgreSQL belongs to one schema.
    """
    found = str(attribute.type)
    if attribute.uuid or found == "uuid":
        return "uuid"
    if found in _CORE_TYPES:
        return _CORE_TYPES[found]
    if whole := re.fullmatch(r"decimal\((\d+)\)", found):
        return f"decimal({whole[1]},0)"
    if _COPIED.fullmatch(found) and not (backend == "postgresql" and found.startswith("enum")):
        return found
    raise ConfigError(
        f"The key attribute {attribute.name} of {table} has the type {found}, which can't be copied into our own "
        "tables: use an integer, a string, a date or a datetime."
    )


def key_definition(table: Any, backend: str, *, reserved: Iterable[str] = ()) -> str:
    """Return definition lines with a table's key attributes, without foreign keys.

    Parameters
    ----------
    table : datajoint table
    backend : str
    reserved : iterable of str
        Names of the other columns, which no key attribute may have.

    Raises
    ------
    ConfigError
        If a type can't be copied, or a name is reserved.
    """
    name = str(table.table_name)
    if clash := set(table.primary_key) & set(reserved):
        raise ConfigError(
            f"The key attribute {min(clash)} of {name} has the name of a column of ours: this lab can't be served."
        )
    return "\n".join(f"{key} : {key_type(table.heading[key], backend, name)}" for key in table.primary_key)


@dataclass(frozen=True)
class KeyColumns:
    """The primary key of a lab's table, for raw SQL.

    Attributes
    ----------
    database : Database
    attributes : tuple of datajoint.heading.Attribute
        In order.
    """

    database: Database
    attributes: tuple[Any, ...]

    @classmethod
    def of(cls, database: Database, table: Any) -> KeyColumns:
        """Return the key columns of a table."""
        return cls(database, tuple(table.heading[name] for name in table.primary_key))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the attributes."""
        return tuple(attribute.name for attribute in self.attributes)

    def select(self, alias: str = "") -> str:
        """Return the columns for a SELECT or ORDER BY, such as ``t."subject", t."session"``."""
        dot = f"{alias}." if alias else ""
        return ", ".join(dot + self.database.identifier(name) for name in self.names)

    def equal(self, left: str, right: str) -> str:
        """Return the condition that two aliased tables agree in the key."""
        quoted = [self.database.identifier(name) for name in self.names]
        return " AND ".join(f"{left}.{name} = {right}.{name}" for name in quoted)

    def native(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return the key of a row that starts with the key's columns."""
        return {a.name: decode(a, value) for a, value in zip(self.attributes, values, strict=False)}

    def row(self, key: Mapping[str, Any]) -> dict[str, Any]:
        """Return column -> argument of raw SQL.

        Raises
        ------
        KeyError
            If the key lacks an attribute.
        """
        return {a.name: to_sql(a, key[a.name], self.database.backend) for a in self.attributes}

    def among(self, keys: Sequence[Mapping[str, Any]], alias: str = "") -> tuple[str, tuple[Any, ...]]:
        """Return the condition that a row's key is among `keys`, and its arguments."""
        dot = f"{alias}." if alias else ""
        one = " AND ".join(f"{dot}{self.database.identifier(name)} = %s" for name in self.names)
        rows = [self.row(key) for key in keys]
        return f"({' OR '.join([f'({one})'] * len(rows))})", tuple(row[name] for row in rows for name in self.names)

    def place(self, keys: Sequence[Mapping[str, Any]], alias: str = "") -> tuple[str, tuple[Any, ...]]:
        """Return an expression for the place among `keys` of a row's key, as the database compares, and its arguments.

        MySQL's usual collations call 'M1' and 'm1' the same.
        """
        cases, args = [], list[Any]()
        for place, key in enumerate(keys):
            equal, values = self.among([key], alias)
            cases.append(f"WHEN {equal} THEN {place}")
            args += values
        return f"CASE {' '.join(cases)} END", tuple(args)


def batches(keys: Sequence[Mapping[str, Any]]) -> Iterable[Sequence[Mapping[str, Any]]]:
    """Cut keys into pieces that one statement takes."""
    for start in range(0, len(keys), KEYS_PER_QUERY):
        yield keys[start : start + KEYS_PER_QUERY]
