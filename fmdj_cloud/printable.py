"""Text that strangers wrote, made safe to print: nothing in it moves a cursor, forges a line or turns words around.

Names of files, sentences of workers and values of keys come from whoever may write them, and are read on terminals and
in logs. What is taken out is shown as an escape, so that it can be seen.
"""

from __future__ import annotations

_CONTROLS = frozenset({*range(0x20), *range(0x7F, 0xA0)})
"""C0, DEL and C1: escape sequences begin with ESC or, in eight bits, with one of C1."""
_LINES = frozenset({0x2028, 0x2029})
_DIRECTIONS = frozenset({0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)})
"""Marks that change the direction in which text is shown."""
_UNSAFE = _CONTROLS | _LINES | _DIRECTIONS
_SHOWN = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _UNSAFE}
_JSON = {code: f"\\u{code:04x}" for code in _UNSAFE - set(range(0x20))}
"""In JSON the others are escaped already, and line feeds stand between values."""


def printable(text: str, keep: str = "\t") -> str:
    """Return text whose control characters are escaped.

    Parameters
    ----------
    text : str
    keep : str
        Characters that stay as they are.
    """
    return text.translate({code: shown for code, shown in _SHOWN.items() if chr(code) not in keep} if keep else _SHOWN)


def printable_json(text: str) -> str:
    """Return a JSON document with those characters escaped that JSON itself leaves in strings; its values are equal."""
    return text.translate(_JSON)
