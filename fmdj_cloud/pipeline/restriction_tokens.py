"""A restriction cut into words: pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fmdj_cloud.errors import UsageError

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<comment>--|\#|/\*)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<string>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<quoted>`[^`]*`)
      | (?P<word>[^\W\d]\w*)
      | (?P<sign><=>|<>|!=|<=|>=|==|&&|\|\||[=<>+\-*/%(),])""",
    re.VERBOSE,
)
_MIRRORED = {"==": "=", "&&": "AND", "||": "OR", "<=>": "="}
"""What other languages write, and what is meant."""


@dataclass(frozen=True)
class Token:
    """A word, sign, number or string.

    Attributes
    ----------
    kind : str
        ``word``, ``sign``, ``number``, ``string`` or ``quoted`` (in backticks).
    text : str
        As it was written.
    """

    kind: str
    text: str

    @property
    def word(self) -> str:
        """A keyword or function in capitals, else empty."""
        return self.text.upper() if self.kind == "word" else ""


def tokens_of(text: str) -> list[Token]:
    """Cut a restriction into tokens.

    Raises
    ------
    UsageError
        If it has a comment, a second statement, or what no restriction has.
    """
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            shown = text[at : at + 10]
            if text[at] in "'\"`":
                hint = ": write a quote within a string twice, without a backslash" if "\\" in text else ""
                raise UsageError(f"The restriction has a quote that doesn't end, {shown!r}{hint}.")
            if text[at] == ".":
                raise UsageError(f"The restriction has {shown!r}: name attributes without their table.")
            if text[at] == ";":
                raise UsageError("The restriction has a `;`: it must be one condition, and no statement.")
            raise UsageError(f"The restriction can't be read from {shown!r} on.")
        kind, piece = str(match.lastgroup), match.group()
        if kind == "comment":
            raise UsageError(f"The restriction has a comment ({piece}): leave it out.")
        if piece in _MIRRORED:
            raise UsageError(f"The restriction has {piece!r}: write {_MIRRORED[piece]}.")
        if kind != "space":
            found.append(Token(kind, piece))
        at = match.end()
    return found
