"""Values between the tests and the 0.14 client, as JSON: nothing but numpy and the standard library is needed."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import uuid
from typing import Any

import numpy as np

_TAG = "__"


def pack(value: Any) -> Any:
    """Return what ``json`` can write for a value of a table."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {_TAG: "array", "dtype": value.dtype.str, "shape": list(value.shape), "data": data}
    if isinstance(value, np.ndarray):
        return [pack(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {_TAG: "dict", "items": [[pack(key), pack(item)] for key, item in value.items()]}
    if isinstance(value, list | tuple | set | frozenset):
        return [pack(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    for kind, name in ((dt.datetime, "datetime"), (dt.date, "date")):
        if isinstance(value, kind):
            return {_TAG: name, "text": value.isoformat()}
    if isinstance(value, uuid.UUID | decimal.Decimal):
        return {_TAG: type(value).__name__, "text": str(value)}
    if isinstance(value, bytes):
        return {_TAG: "bytes", "text": base64.b64encode(value).decode()}
    return value


def unpack(value: Any) -> Any:
    """Return what :func:`pack` was given; tuples and sets as lists."""
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value[_TAG]
    if kind == "array":
        data = np.frombuffer(base64.b64decode(value["data"]), np.dtype(value["dtype"]))
        return data.reshape(value["shape"]).copy()
    if kind == "dict":
        return {unpack(key): unpack(item) for key, item in value["items"]}
    read = {
        "datetime": dt.datetime.fromisoformat,
        "date": dt.date.fromisoformat,
        "UUID": uuid.UUID,
        "Decimal": decimal.Decimal,
        "bytes": base64.b64decode,
    }[kind]
    return read(value["text"])
