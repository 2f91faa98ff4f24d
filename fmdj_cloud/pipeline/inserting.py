"""Rows with large arrays into any table, in statements that the server takes.

DataJoint's own insert compresses every array, at 10 to 15 MB/s, though noise can't be compressed, and puts
all rows into one statement. What it reads is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fmdj_cloud.errors import LoadError
from fmdj_cloud.pipeline import codec
from fmdj_cloud.pipeline.database import Database

_PACKET_SHARE = 0.45
"""PyMySQL sends blobs as hexadecimal digits: a statement carries less than half of max_allowed_packet."""
_SMALL = 32
"""Bytes that a value is counted as which is no blob and no string."""
Values = dict[str, Any]


def largest_statement(database: Database) -> int | None:
    """Return how many bytes of arrays one statement can carry; None where there is no such limit."""
    if database.backend != "mysql":
        return None
    ((packet,),) = database.query("SELECT @@max_allowed_packet")
    return int(_PACKET_SHARE * int(packet))


def insert_rows(database: Database, table: Any, rows: Sequence[Mapping[str, Any]], *, largest: int | None) -> None:
    """Insert rows, in as many statements as the server's limit demands.

    Parameters
    ----------
    database : Database
        In a transaction, or some rows may be there without the others.
    table : datajoint table
        Class or instance.
    rows : sequence of Mapping
        All with the same attributes; arrays as such. None stands for the attribute's default.
    largest : int or None
        From :func:`largest_statement`.

    Raises
    ------
    LoadError
        If a single value is larger than that.
    datajoint.errors.DataJointError
        As DataJoint's own insert: a duplicate, a foreign key, a lost connection.
    """
    encoded = [codec.to_sql_row(table, row, database.backend) for row in rows]
    plain = [row for row in encoded if row is not None]
    if len(plain) < len(encoded):  # a codec of the lab's own
        table.insert([codec.encode(table, row) for row in rows], allow_direct_insert=True)
        return
    for piece in _pieces(plain, largest):
        if largest is not None and len(piece) == 1 and _size(piece[0]) > largest:
            _insert_in_steps(database, table, piece[0], largest)
        else:
            _insert(database, table, piece)


def _pieces(rows: Sequence[Values], largest: int | None) -> Iterator[list[Values]]:
    piece: list[Values] = []
    total = 0
    for row in rows:
        size = _size(row)
        if piece and largest is not None and total + size > largest:
            yield piece
            piece, total = [], 0
        piece.append(row)
        total += size
    if piece:
        yield piece


def _insert(database: Database, table: Any, rows: Sequence[Values]) -> None:
    names = list(rows[0])
    columns = ", ".join(map(database.identifier, names))
    places = ", ".join(f"({', '.join('DEFAULT' if row[name] is None else '%s' for name in names)})" for row in rows)
    args = tuple(row[name] for row in rows for name in names if row[name] is not None)
    # Not by Database.execute: the caller tells a duplicate from trouble by DataJoint's own errors
    database.connection.query(f"INSERT INTO {table.full_table_name} ({columns}) VALUES {places}", args)


def _insert_in_steps(database: Database, table: Any, row: Values, largest: int) -> None:
    """Insert a row whose values together are too large, but none alone: blobs follow one by one."""
    blobs = {name: value for name, value in row.items() if isinstance(value, bytes) and name not in table.primary_key}
    for name, value in blobs.items():
        if len(value) > largest:
            raise LoadError(
                f"{name} of a row of {table.__name__} has {len(value) / 2**20:.1f} MiB and the database takes "
                f"{largest / 2**20:.1f} MiB in one statement: raise max_allowed_packet on the server to at least "
                f"{int(len(value) / _PACKET_SHARE / 2**20) + 1} MiB, then retry the run."
            )
    _insert(database, table, [{**row, **dict.fromkeys(blobs, b"")}])
    key = {name: row[name] for name in table.primary_key}
    where = " AND ".join(f"{database.identifier(name)} = %s" for name in key)
    for name, value in blobs.items():
        database.connection.query(
            f"UPDATE {table.full_table_name} SET {database.identifier(name)} = %s WHERE {where}",
            (value, *key.values()),
        )


def _size(row: Values) -> int:
    return sum(len(value) if isinstance(value, bytes | str) else _SMALL for value in row.values())
