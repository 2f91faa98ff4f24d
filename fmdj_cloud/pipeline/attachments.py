"""Attachments in a table: a file's name, NUL, and its bytes, as DataJoint 0.14 and 2.x both keep them.

They go in and out by SQL of our own: DataJoint's own fetch writes files into the working directory, and fails
on PostgreSQL (2.3.5).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from fmdj_cloud.errors import ChangedError, InputError
from fmdj_cloud.names import display_key
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.keys import KeyColumns

_SLICE = 4 << 20
"""Bytes read at a time: MySQL sends no row of more than max_allowed_packet, 16 MiB by default."""
_NUL = b"\0"


@dataclass(frozen=True)
class Attachment:
    """A file as it was attached.

    Attributes
    ----------
    name : str
        Base name.
    content : bytes
    """

    name: str
    content: bytes


@dataclass(frozen=True)
class AttachmentFacts:
    """What the server says of an attachment.

    Attributes
    ----------
    name : str
    size : int
        Bytes of the file.
    sha256 : str
        Of the file.
    """

    name: str
    size: int
    sha256: str


def wrap(attachment: Attachment) -> bytes:
    """Return an attachment as a column holds it.

    Raises
    ------
    ValueError
        If its name is none of a file.
    """
    name = attachment.name
    if not name or name != _base_name(name) or "\0" in name:
        raise ValueError(f"{name!r} is no base name of a file")
    return name.encode() + _NUL + attachment.content


def unwrap(stored: bytes) -> Attachment:
    """Invert :func:`wrap`, however the name was written.

    Raises
    ------
    ValueError
        If there is no name.
    """
    name, nul, content = stored.partition(_NUL)
    if not nul:
        raise ValueError("it holds no file: a name, NUL and the file's bytes were expected")
    return Attachment(_base_name(name.decode("utf-8", "replace")), content)


def attachment_facts(database: Database, table: Any, column: str, key: Mapping[str, Any]) -> AttachmentFacts | None:
    """Return what the server says of a row's attachment, without sending it; None if it is none, or not there.

    Parameters
    ----------
    database : Database
    table : datajoint table
    column : str
    key : Mapping
        Primary key of the row.
    """
    name = database.identifier(column)
    nul = database.dialect.nul_position(name)
    content = f"SUBSTRING({name} FROM {nul} + 1)"
    among, args = KeyColumns.of(database, table).among([key])
    rows = database.query(
        f"SELECT SUBSTRING({name} FROM 1 FOR {nul} - 1), LENGTH({content}), {database.dialect.sha256(content)} "
        f"FROM {table.full_table_name} WHERE {among}",
        args,
    )
    for label, size, digest in rows:
        if label is not None:
            return AttachmentFacts(_base_name(bytes(label).decode("utf-8", "replace")), int(size), str(digest))
    return None


def read_attachment(
    database: Database, table: Any, column: str, key: Mapping[str, Any], *, max_bytes: int
) -> Attachment:
    """Return a row's attachment.

    Parameters
    ----------
    database : Database
    table : datajoint table
    column : str
    key : Mapping
        Primary key of the row.
    max_bytes : int
        Bytes that the file may have.

    Raises
    ------
    InputError
        If there is none, or it is larger.
    ChangedError
        If it was replaced meanwhile.
    """
    what = f"{column} of {display_key(key)}"
    facts = attachment_facts(database, table, column, key)
    if facts is None:
        raise InputError(f"There is no file in {what}: insert one as an attachment.", check="model")
    if facts.size > max_bytes:
        sizes = f"{facts.size / 2**20:.0f} MiB, more than the {max_bytes / 2**20:.0f} MiB that are read"
        raise InputError(f"The file {facts.name} in {what} has {sizes}: is it a model?", check="model")
    name = database.identifier(column)
    among, args = KeyColumns.of(database, table).among([key])
    stored = bytearray()
    while len(stored) <= max_bytes + _SLICE:
        piece = f"SUBSTRING({name} FROM {len(stored) + 1} FOR {_SLICE})"
        rows = database.query(f"SELECT {piece} FROM {table.full_table_name} WHERE {among}", args)
        more = bytes(rows[0][0] or b"") if rows else b""
        stored += more
        if len(more) < _SLICE:
            break
    name_there, _, content = bytes(stored).partition(_NUL)
    if hashlib.sha256(content).hexdigest() != facts.sha256:
        raise ChangedError(f"The file in {what} was replaced while it was read: try again.")
    return Attachment(_base_name(name_there.decode("utf-8", "replace")), content)


def insert_attachment(
    database: Database, table: Any, key: Mapping[str, Any], column: str, attachment: Attachment
) -> None:
    """Insert a row whose one other column is an attachment in the table.

    Raises
    ------
    DatabaseError
        If the server refuses it, such as one larger than max_allowed_packet.
    """
    row = KeyColumns.of(database, table).row(key) | {column: wrap(attachment)}
    columns = ", ".join(map(database.identifier, row))
    places = ", ".join(["%s"] * len(row))
    database.execute(f"INSERT INTO {table.full_table_name} ({columns}) VALUES ({places})", tuple(row.values()))


def _base_name(name: str) -> str:
    return PureWindowsPath(PurePosixPath(name).name).name
