"""CREATE TABLE for MySQL and MariaDB from a DataJoint definition, in the format of 0.14 or of 2.x.

DataJoint 2 declares only what DataJoint 0.14 can't read. What it declares, these statements do too, but for a
``~lineage`` table, which would have to know all tables of a schema or none; and strings are told apart by their bytes,
whatever the server's default, but for copies of a lab's columns, which compare as those do (else MySQL refuses to).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.formats import Format

_SQL_TYPES = {
    "int8": "tinyint",
    "int16": "smallint",
    "int32": "int",
    "int64": "bigint",
    "float32": "float",
    "float64": "double",
    "bool": "tinyint(1)",
    "uuid": "binary(16)",
    "bytes": "longblob",
    "<blob>": "longblob",
}
_NATIVE_TYPES = {"bytes": "longtext"}
"""What DataJoint 0.14 would take for a blob of its own is text: we keep nothing else in such columns."""
_COPIED = re.compile(
    r"(var)?char\(\d+\)|date|datetime(\(\d\))?|time(\(\d\))?|year|decimal\(\d+,\s*\d+\)"
    r"|(tiny|small|medium|big)?int( unsigned)?|enum\(.+\)"
)
_WITHOUT_MARKER = re.compile(r"time(\(\d\))?|year|.*int( unsigned)?")
"""Types that DataJoint 2 has no core type for."""
_LINE = re.compile(r"(?P<name>[a-z]\w*)\s*(=\s*(?P<default>[^:]+?)\s*)?:\s*(?P<type>[^#]+?)\s*(#\s*(?P<comment>.*))?")
_INDEX = re.compile(r"(unique )?index\((.+)\)")

Collation = tuple[str, str]
"""Character set and collation."""


@dataclass(frozen=True)
class Definition:
    """A table of ours, from its DataJoint definition.

    Attributes
    ----------
    table : str
        Name of the table.
    comment : str
    key, others : tuple of str
        Lines of attributes: of the primary key, and the rest.
    parents : tuple of (str, tuple of str)
        Table that the key refers to, and the attributes by which it does.
    indexes : tuple of str
        Lines.
    """

    table: str
    comment: str
    key: tuple[str, ...]
    others: tuple[str, ...]
    parents: tuple[tuple[str, tuple[str, ...]], ...]
    indexes: tuple[str, ...]


def read_definition(table: str, text: str, parents: Mapping[str, Definition]) -> Definition:
    """Read a definition.

    Parameters
    ----------
    table : str
        Name of the table.
    text : str
        As DataJoint takes it.
    parents : Mapping
        What ``-> name`` in its key may refer to.
    """
    comment, in_key = "", True
    key: list[str] = []
    others: list[str] = []
    references: list[tuple[str, tuple[str, ...]]] = []
    indexes: list[str] = []
    for line in map(str.strip, text.strip().splitlines()):
        if line.startswith("#"):
            comment = comment or line.lstrip("# ")
        elif line.startswith("---"):
            in_key = False
        elif line.startswith("->"):
            parent = parents[line.removeprefix("->").strip()]
            key += parent.key
            references.append((parent.table, tuple(map(_name, parent.key))))
        elif _INDEX.fullmatch(line):
            indexes.append(line)
        elif line:
            (key if in_key else others).append(line)
    return Definition(table, comment, tuple(key), tuple(others), tuple(references), tuple(indexes))


def create_table(
    schema: str, definition: Definition, table_format: Format, collations: Mapping[str, Collation] | None = None
) -> str:
    """Return the statement that creates a table unless it exists: pure.

    Parameters
    ----------
    schema : str
    definition : Definition
    table_format : Format
    collations : Mapping, optional
        Attribute -> character set and collation of those that are copies of a lab's columns.

    Raises
    ------
    ConfigError
        If an attribute is of a type that these tables don't have.
    """
    lines = [_column(line, table_format, collations or {}) for line in (*definition.key, *definition.others)]
    lines.append(f"PRIMARY KEY ({_columns(map(_name, definition.key))})")
    for parent, names in definition.parents:
        lines.append(
            f"FOREIGN KEY ({_columns(names)}) REFERENCES {_quote(schema)}.{_quote(parent)} ({_columns(names)}) "
            "ON UPDATE CASCADE ON DELETE RESTRICT"
        )
    for index in definition.indexes:
        found = _INDEX.fullmatch(index)
        assert found is not None  # noqa: S101
        lines.append(f"{(found[1] or '').upper()}INDEX ({_columns(map(str.strip, found[2].split(',')))})")
    return (
        f"CREATE TABLE IF NOT EXISTS {_quote(schema)}.{_quote(definition.table)} (\n"
        + ",\n".join(lines)
        + "\n) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        + f" COMMENT={_text(definition.comment)}"
    )


def modify_columns(
    schema: str, definition: Definition, table_format: Format, collations: Mapping[str, Collation] | None = None
) -> str:
    """Return the statement that brings a table of the other format to this one: only comments change. Pure.

    Parameters
    ----------
    schema : str
    definition : Definition
        Without parents: MySQL doesn't let columns of foreign keys be modified.
    table_format : Format
    collations : Mapping, optional
        As for :func:`create_table`.
    """
    columns = [_column(line, table_format, collations or {}) for line in (*definition.key, *definition.others)]
    return f"ALTER TABLE {_quote(schema)}.{_quote(definition.table)} " + ", ".join(f"MODIFY {one}" for one in columns)


def _column(line: str, table_format: Format, collations: Mapping[str, Collation]) -> str:
    found = _match(line)
    name, kind, default = found["name"], found["type"], found["default"]
    words = [_quote(name), _sql_type(kind, table_format, line)]
    if name in collations:
        words += ["CHARACTER SET {} COLLATE {}".format(*collations[name])]
    if default is None:
        words.append("NOT NULL")
    else:
        words.append(
            "DEFAULT NULL" if default.lower() == "null" else f"NOT NULL DEFAULT {_text(default.strip(chr(39)))}"
        )
    comment = f"{_marker(kind, table_format)}{found['comment'] or ''}"
    return " ".join(words) + (f" COMMENT {_text(comment)}" if comment else "")


def _sql_type(kind: str, table_format: Format, line: str) -> str:
    if table_format is Format.NATIVE and kind in _NATIVE_TYPES:
        return _NATIVE_TYPES[kind]
    if kind in _SQL_TYPES:
        return _SQL_TYPES[kind]
    if _COPIED.fullmatch(kind):
        return kind
    raise ConfigError(f"The attribute {line!r} can't be declared on MySQL: its type is unknown.")


def _marker(kind: str, table_format: Format) -> str:
    """Return what precedes the comment, by which clients know a type that SQL has none of."""
    if kind == "uuid":
        return ":uuid:"
    return "" if table_format is Format.NATIVE or _WITHOUT_MARKER.fullmatch(kind) else f":{kind}:"


def _match(line: str) -> re.Match[str]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ConfigError(f"{line!r} is no line of a table's definition.")
    return found


def _name(line: str) -> str:
    return _match(line)["name"]


def _columns(names: Iterable[str]) -> str:
    return ", ".join(map(_quote, names))


def _quote(name: str) -> str:
    return f"`{name}`"


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
