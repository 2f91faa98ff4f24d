"""Values in and out of the database, whatever format the lab's schema has.

The bytes of a blob are the same in DataJoint 0.14 and 2.x. What differs is who packs them: a 2.x column
carries its codec in its comment, and DataJoint packs by itself; a column of a 0.14 schema has none, and a
2.x client passes bytes through. The heading tells which it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
from datajoint import blob
from datajoint.builtin_codecs import BlobCodec

_MAGIC = (b"mYm\0", b"dj0\0", b"ZL123\0")


def encode(table: Any, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as DataJoint's ``insert`` of `table` takes it.

    Parameters
    ----------
    table : datajoint table
        Class or instance.
    row : Mapping
        Attribute -> value; blobs as Python objects.
    """
    heading = table.heading
    encoded = dict(row)
    for name, value in row.items():
        attribute = heading[name]
        if value is not None and is_blob(attribute) and attribute.codec is None:
            encoded[name] = pack(value)
    return encoded


def to_sql_row(table: Any, row: Mapping[str, Any], backend: str) -> dict[str, Any] | None:
    """Return a row as arguments of raw SQL; None if a column has a codec that only DataJoint can apply.

    Blobs that belong into an object store are bytes like all others: what their column holds is known once they are
    there (:class:`~fmdj_cloud.pipeline.kept.KeptBlobs`).

    Parameters
    ----------
    table : datajoint table
        Class or instance.
    row : Mapping
        Attribute -> value; blobs as Python objects.
    backend : str
        ``postgresql`` or ``mysql``.
    """
    values: dict[str, Any] = {}
    for name, value in row.items():
        attribute = table.heading[name]
        if value is None:
            values[name] = None
        elif attribute.codec is None and not attribute.json:
            values[name] = pack(value) if is_blob(attribute) else to_sql(attribute, value, backend)
        elif type(attribute.codec) is BlobCodec:
            values[name] = pack(value)
        else:
            return None
    return values


def pack(value: Any) -> bytes:
    """Return the bytes of a blob; floating-point arrays, which are noise to a compressor, as they are."""
    noise = isinstance(value, np.ndarray) and value.dtype.kind in "fc"
    return bytes(blob.pack(value, compress=not noise))


def unpack(packed: bytes) -> Any:
    """Return what a blob holds.

    Raises
    ------
    Exception
        Whatever DataJoint's unpacking raises on damaged bytes.
    """
    return blob.unpack(packed)


def decode(attribute: Any, value: Any) -> Any:
    """Return a value of any format as a Python object.

    Parameters
    ----------
    attribute : datajoint.heading.Attribute
    value : Any
        As SQL or DataJoint's ``fetch`` returned it.

    Raises
    ------
    Exception
        Whatever DataJoint's unpacking raises on damaged bytes.
    """
    if value is None:
        return None
    if is_blob(attribute):
        raw = value.tobytes() if isinstance(value, memoryview) else value
        packed = isinstance(raw, bytes | bytearray) and bytes(raw[:6]).startswith(_MAGIC)
        return unpack(bytes(raw)) if packed else raw
    if is_uuid(attribute):
        return value if isinstance(value, uuid.UUID) else _to_uuid(value)
    return value.item() if isinstance(value, np.generic) else value


def to_sql(attribute: Any, value: Any, backend: str) -> Any:
    """Return a key's value as an argument of raw SQL."""
    if isinstance(value, np.generic):
        value = value.item()
    if is_uuid(attribute) and value is not None:
        native = value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))
        return str(native) if backend == "postgresql" else native.bytes
    return value


def is_blob(attribute: Any) -> bool:
    """Whether an attribute holds bytes; DataJoint doesn't say so of a PostgreSQL column without a codec."""
    return bool(attribute.is_blob) or attribute.type == "bytea"


def is_uuid(attribute: Any) -> bool:
    """Whether an attribute holds UUIDs."""
    return bool(attribute.uuid) or attribute.type == "uuid"


def _to_uuid(value: Any) -> uuid.UUID:
    return uuid.UUID(bytes=bytes(value)) if isinstance(value, bytes | bytearray | memoryview) else uuid.UUID(str(value))
