"""Why a pickle isn't read any further."""

from __future__ import annotations

_SHOWN = 60


class RefusedError(Exception):
    """A file can't be, or mustn't be, read on; the message is a clause that follows the file's name."""


def shown(value: object) -> str:
    """Return a text of the file as it may stand in a sentence: short, and without control characters."""
    text = ascii(value) if isinstance(value, str | bytes | int | float | None) else f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
