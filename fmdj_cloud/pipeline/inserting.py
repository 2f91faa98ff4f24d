"""Rows with large arrays into any table, in statements that the server takes.

DataJoint's own insert compresses every array, at 10 to 15 MB/s, though noise can't be compressed, and puts
all rows into one statement. What it reads is the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fmdj_cloud.errors import LoadError
from fmdj_cloud.pipeline import codec
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.kept import KeptBlobs, store_of

logger = logging.getLogger(__name__)

_HEX_SHARE = 0.45
"""Drivers send blobs as hexadecimal digits: a statement carries less than half of what the server takes."""
_POSTGRES_BYTES = 1 << 30
"""PostgreSQL allocates no more for a statement, whatever its settings (MaxAllocSize)."""
_SMALL = 32
"""Bytes that a value is counted as which is no blob and no string."""
_AT_ONCE = 8
"""Blobs on their way to an object store."""
Values = dict[str, Any]


def largest_statement(database: Database) -> int:
    """Return how many bytes of arrays one statement can carry."""
    if database.backend != "mysql":
        return int(_HEX_SHARE * _POSTGRES_BYTES)
    ((packet,),) = database.query("SELECT @@max_allowed_packet")
    return int(_HEX_SHARE * int(packet))


def insert_rows(
    database: Database,
    table: Any,
    rows: Sequence[Mapping[str, Any]],
    *,
    largest: int | None = None,
    statement: int | None = None,
    kept: KeptBlobs | None = None,
) -> None:
    """Insert rows, in as many statements as the server's limit demands.

    Parameters
    ----------
    database : Database
        In a transaction, or some rows may be there without the others.
    table : datajoint table
        Class or instance.
    rows : sequence of Mapping
        All with the same attributes; arrays as such. None stands for the attribute's default.
    largest : int, optional
        From :func:`largest_statement`.
    statement : int, optional
        Bytes of arrays in a statement, where fewer than `largest` are wanted: the driver holds several copies. A
        single value may have more.
    kept : KeptBlobs, optional
        For tables that keep blobs in an object store: they are there before the rows are, and are sent now unless
        :func:`keep_blobs` has.

    Raises
    ------
    LoadError
        If a single value is larger than the server takes.
    StorageError
        If an object store doesn't take a blob.
    datajoint.errors.DataJointError
        As DataJoint's own insert: a duplicate, a foreign key, a lost connection.
    """
    encoded = [codec.to_sql_row(table, row, database.backend) for row in rows]
    plain = [row for row in encoded if row is not None]
    if len(plain) < len(encoded):  # a codec of the lab's own
        table.insert([codec.encode(table, row) for row in rows], allow_direct_insert=True)
        return
    if kept is not None:
        _keep(kept, table, plain)
    limits = [limit for limit in (largest, statement) if limit is not None]
    for piece in _pieces(plain, min(limits, default=None)):
        if limits and len(piece) == 1 and _size(piece[0]) > min(limits):
            _insert_in_steps(database, table, piece[0], largest, min(limits))
        else:
            _insert(database, table, piece)


def keep_blobs(database: Database, table: Any, rows: Sequence[Mapping[str, Any]], kept: KeptBlobs) -> None:
    """Put what these rows keep in an object store there, ahead of their transaction.

    Parameters
    ----------
    database : Database
    table : datajoint table
    rows : sequence of Mapping
        As :func:`insert_rows` takes them.
    kept : KeptBlobs

    Raises
    ------
    StorageError
        If an object store doesn't take a blob.
    """
    if kept.keeps(table):
        encoded = [codec.to_sql_row(table, row, database.backend) for row in rows]
        _keep(kept, table, [row for row in encoded if row is not None])


def _keep(kept: KeptBlobs, table: Any, rows: Sequence[Values]) -> None:
    """Put blobs where their columns keep them, and leave what these hold of them."""
    stores = {name: store_of(table.heading[name]) for name in rows[0]} if rows else {}
    wanted = [
        (row, name, store)
        for row in rows
        for name, store in stores.items()
        if store is not None and row[name] is not None
    ]
    if not wanted:
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda one: kept.put(table.database, one[2], one[0][one[1]]), wanted)
        for (row, name, _), held in zip(wanted, found, strict=True):
            row[name] = held


def _pieces(rows: Sequence[Values], limit: int | None) -> Iterator[list[Values]]:
    piece: list[Values] = []
    total = 0
    for row in rows:
        size = _size(row)
        if piece and limit is not None and total + size > limit:
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


def _insert_in_steps(database: Database, table: Any, row: Values, largest: int | None, statement: int) -> None:
    """Insert a row whose values together are too large: the largest goes first, the other blobs follow one by one."""
    blobs = {name: value for name, value in row.items() if isinstance(value, bytes) and name not in table.primary_key}
    if largest is not None:
        _check_sizes(database, table, blobs, largest)
    first = max(blobs, key=lambda name: len(blobs[name]), default=None)
    later = {name: value for name, value in blobs.items() if name != first}
    _insert(database, table, [{**row, **dict.fromkeys(later, b"")}])
    key = {name: row[name] for name in table.primary_key}
    where = " AND ".join(f"{database.identifier(name)} = %s" for name in key)
    for group in _pieces([{name: value} for name, value in later.items()], statement):
        values = {name: value for one in group for name, value in one.items()}
        sets = ", ".join(f"{database.identifier(name)} = %s" for name in values)
        database.connection.query(
            f"UPDATE {table.full_table_name} SET {sets} WHERE {where}", (*values.values(), *key.values())
        )


def _check_sizes(database: Database, table: Any, blobs: Mapping[str, bytes], largest: int) -> None:
    mysql = database.backend == "mysql"
    for name, value in blobs.items():
        if len(value) > largest:
            remedy = (
                "raise max_allowed_packet on the server to at least "
                f"{int(len(value) / _HEX_SHARE / 2**20) + 1} MiB, then retry the run"
                if mysql
                else "no setting of PostgreSQL's raises that; process the recording in parts"
            )
            raise LoadError(
                f"{name} of a row of {table.__name__} has {len(value) / 2**20:.1f} MiB and the database takes "
                f"{largest / 2**20:.1f} MiB in one statement: {remedy}."
            )
    if mysql and sum(map(len, blobs.values())) > largest / _HEX_SHARE:
        logger.warning(
            "A row of %s has %.0f MiB, and the server hands out no row of more than max_allowed_packet: raise that, or "
            "fetch the row's attributes one by one.",
            *(table.__name__, sum(map(len, blobs.values())) / 2**20),
        )


def _size(row: Values) -> int:
    return sum(len(value) if isinstance(value, bytes | str) else _SMALL for value in row.values())
