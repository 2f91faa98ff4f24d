"""Values in and out of the database, whatever format the lab's schema has.

The bytes of a blob are the same in DataJoint 0.14 and 2.x. What differs is who packs them: a 2.x column
carries its codec in its comment, and DataJoint packs by itself; a column of a 0.14 schema has none, and a
2.x client passes bytes through. The heading tells which it is.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from datajoint import blob
from datajoint.builtin_codecs import BlobCodec

UNPACKED_MAX_MIB = 1024
"""No result of ours is larger: MySQL takes no value of more, and a float of every frame has 8 bytes."""
PARAMETERS_MAX_MIB = 128
"""Of what people insert as a task's parameters: far above any, also with the pictures that Facemap's GUI keeps."""
_FREE_MIB, _RATIO_MAX = 4, 20
"""Parameters that unpack to more than so many MiB may be so many times as large as they are packed."""
_DEPTH_MAX = 32
_BITS_MAX = 4096
_COMPRESSED = b"ZL123\0"
_MAGIC = (b"mYm\0", b"dj0\0", _COMPRESSED)
_LENGTH = 8
"""Bytes of the length that follows the mark of what is compressed."""


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


def unpack(packed: bytes, max_mib: int = UNPACKED_MAX_MIB) -> Any:
    """Return what a blob holds.

    Parameters
    ----------
    packed : bytes
    max_mib : int
        What it may unpack to: DataJoint itself knows no bound, and a few kilobytes may claim all memory there is.

    Raises
    ------
    ValueError
        If it unpacks to more.
    Exception
        Whatever DataJoint's unpacking raises on damaged bytes.
    """
    return blob.unpack(_inflated(packed, max_mib))


def _inflated(packed: bytes, max_mib: int) -> bytes:
    if not packed.startswith(_COMPRESSED):
        return packed
    told = _length_told(packed)
    if told > max_mib << 20:
        raise ValueError(f"it unpacks to more than {max_mib} MiB")
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(packed[len(_COMPRESSED) + _LENGTH :], told + 1)
    if len(inflated) != told or not inflater.eof or inflated.startswith(_COMPRESSED):
        raise ValueError("it is damaged: its length isn't what it says, or it is packed twice")
    return inflated


def _length_told(packed: bytes) -> int:
    begin = len(_COMPRESSED)
    return int.from_bytes(packed[begin : begin + _LENGTH], "little")


def decode(attribute: Any, value: Any, max_mib: int = UNPACKED_MAX_MIB) -> Any:
    """Return a value of any format as a Python object.

    Parameters
    ----------
    attribute : datajoint.heading.Attribute
    value : Any
        As SQL or DataJoint's ``fetch`` returned it.
    max_mib : int
        As of :func:`unpack`.

    Raises
    ------
    Exception
        As :func:`unpack`.
    """
    if value is None:
        return None
    if is_blob(attribute):
        raw = value.tobytes() if isinstance(value, memoryview) else value
        packed = isinstance(raw, bytes | bytearray) and bytes(raw[:6]).startswith(_MAGIC)
        return unpack(bytes(raw), max_mib) if packed else raw
    if is_uuid(attribute):
        return value if isinstance(value, uuid.UUID) else _to_uuid(value)
    return value.item() if isinstance(value, np.generic) else value


def decode_parameters(attribute: Any, value: Any) -> Any:
    """Return what people inserted as a task's parameters, if it can be gone through, compared and shown.

    Parameters
    ----------
    attribute : datajoint.heading.Attribute
    value : Any
        As SQL returned it.

    Raises
    ------
    ValueError
        If it is too large, is nested too deeply, or holds numbers that Python itself doesn't print.
    Exception
        As :func:`unpack`.
    """
    packed = value.tobytes() if isinstance(value, memoryview) else value
    if isinstance(packed, bytes | bytearray) and packed.startswith(_COMPRESSED):
        told = _length_told(bytes(packed))
        if told > max(_FREE_MIB << 20, _RATIO_MAX * len(packed)):  # many such tasks are read at a time
            raise ValueError(f"it unpacks to more than {_RATIO_MAX} times its size, and than {_FREE_MIB} MiB")
    found = decode(attribute, value, PARAMETERS_MAX_MIB)
    _check_plain(found, _DEPTH_MAX)
    return found


def _check_plain(value: Any, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"it is nested more than {_DEPTH_MAX} deep")
    if isinstance(value, int):
        if value.bit_length() > _BITS_MAX:
            raise ValueError(f"it holds a number of {value.bit_length()} bits")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            _check_plain(name, depth - 1)
            _check_plain(item, depth - 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _check_plain(item, depth - 1)
    elif isinstance(value, np.ndarray) and value.dtype.hasobject:
        _check_plain(value.tolist(), depth - 1)


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
