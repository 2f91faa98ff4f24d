"""Long tests in pieces: ``--slice 2/5`` runs the second of five."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def parse_slice(text: str) -> tuple[int, int]:
    """Return which piece of how many.

    Raises
    ------
    ValueError
        If it isn't ``i/n`` with 1 <= i <= n.
    """
    number, _, pieces = text.partition("/")
    if not (number.isdecimal() and pieces.isdecimal() and 1 <= int(number) <= int(pieces)):
        raise ValueError(f"--slice is {text!r}: write I/N with 1 <= I <= N, such as 2/5")
    return int(number), int(pieces)


def piece(things: Sequence[T], number: int, pieces: int) -> list[T]:
    """Return every `pieces`-th thing from the `number`-th on (from 1): neighbours, which take alike, are spread."""
    return list(things[number - 1 :: pieces])
