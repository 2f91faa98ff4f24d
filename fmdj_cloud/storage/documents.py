"""JSON that somebody else wrote, into a model: bounded before it is parsed, and refused in a clause."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

_MAX_VALUES = 200_000
"""In a document; a recording's largest has some thousands. Every wrong one costs a kilobyte while it is told."""
_MAX_SHOWN = 200
_Model = TypeVar("_Model", bound=BaseModel)


class DocumentError(ValueError):
    """A document isn't what it should be; the message is a clause that can be printed."""


def parse_document(model: type[_Model], data: bytes) -> _Model:
    """Return what a document says.

    Parameters
    ----------
    model : type
        A frozen contract.
    data : bytes
        No more than the caller wants in memory some thirty times over.

    Raises
    ------
    DocumentError
        If it is no such document.
    """
    values = data.count(b",") + data.count(b"[") + data.count(b"{")  # or fewer: some may stand in texts
    if values > _MAX_VALUES:
        raise DocumentError(f"it holds about {values} values")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise DocumentError(shown(f"{where}: {first['msg']}")) from error
    except RecursionError as error:
        raise DocumentError("it is nested too deeply") from error


def shown(value: object) -> str:
    """Return what a stranger wrote as a short text that can be printed."""
    text = str(value)
    if len(text) > _MAX_SHOWN:
        text = f"{text[:_MAX_SHOWN]}..."
    return text if text.isprintable() else ascii(text)[1:-1]
