"""A DataJoint restriction that somebody else wrote, as SQL of our own: pure.

DataJoint passes a restriction string on to the server as it is. What comes from a cluster's API is parsed instead,
and written anew: attributes are looked up and quoted, values become arguments, and of the text itself nothing reaches
the server. What is understood:

- ``AND``, ``OR``, ``NOT``, parentheses, ``TRUE``, ``FALSE``;
- ``=``, ``<>``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``[NOT] IN (...)``, ``[NOT] LIKE``, ``[NOT] BETWEEN ... AND``,
  ``IS [NOT] NULL``;
- attributes of the table, plain or in backticks; numbers; strings in single quotes, or in double ones as MySQL and
  DataJoint's users write them; ``+``, ``-``, ``*``, ``/``, ``%``;
- the functions of :data:`FUNCTIONS`.

Anything else is refused with a sentence. A value is compared with an attribute only if it fits its type: MySQL would
read ``recording_id = 'one'`` as 0, and ``subject = 0`` as every name that begins with no digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from fmdj_cloud.errors import UsageError
from fmdj_cloud.pipeline.ledger_base import Sql
from fmdj_cloud.pipeline.restriction_tokens import Token, tokens_of
from fmdj_cloud.pipeline.restriction_values import Columns, fitted, number

__all__ = ["FUNCTIONS", "Columns", "restrict_by_keys", "restrict_by_text"]

TEXT_MAX = 4096
"""Characters of a restriction."""
DEPTH_MAX = 40
"""Parentheses within parentheses, and NOT after NOT."""
FUNCTIONS: Mapping[str, str] = {
    "abs": "ABS({})",
    "lower": "LOWER({})",
    "upper": "UPPER({})",
    "trim": "TRIM({})",
    "length": "CHAR_LENGTH({})",
    "char_length": "CHAR_LENGTH({})",
    "date": "DATE({})",
    "year": "EXTRACT(YEAR FROM {})",
    "month": "EXTRACT(MONTH FROM {})",
    "day": "EXTRACT(DAY FROM {})",
}
"""Name -> SQL with a place for the one argument, the same on every server."""

_COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_KEYWORDS = frozenset({"AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "NULL", "TRUE", "FALSE"})
_STATEMENTS = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "DROP", "ALTER", "CREATE", "TRUNCATE", "UNION", "JOIN", "FROM"}
    | {"WHERE", "EXISTS", "CASE", "WHEN", "ANY", "ALL", "SOME", "WITH", "INTO", "SET", "CALL", "EXEC", "EXECUTE"}
    | {"GRANT", "GROUP", "ORDER", "HAVING", "LIMIT"}
)


def restrict_by_text(text: str, columns: Columns) -> Sql:
    """Return the condition that a restriction string stands for.

    Parameters
    ----------
    text : str
        As DataJoint's users write it.
    columns : Columns

    Raises
    ------
    UsageError
        If it isn't a condition on the table's own attributes, or a value doesn't fit.
    """
    if len(text) > TEXT_MAX:
        raise UsageError(f"The restriction has {len(text)} characters, more than {TEXT_MAX}: list keys instead.")
    parser = _Parser(tokens_of(text), columns)
    found = parser.condition(0)
    parser.demand_end()
    if found.literal is not None and not isinstance(found.literal, bool):
        raise UsageError(f"The restriction {text.strip()!r} is a value and no condition: write `true` for all tasks.")
    return found.sql, found.args


def restrict_by_keys(keys: Sequence[Mapping[str, Any]], columns: Columns) -> Sql:
    """Return the condition that a row has all the values of one of `keys`.

    Raises
    ------
    UsageError
        If a key is empty, names what the table doesn't have, or a value doesn't fit.
    """
    pieces: list[str] = []
    args: list[Any] = []
    for key in keys:
        if not key:
            raise UsageError("A key without attributes selects everything: leave it out.")
        equal = []
        for name, value in key.items():
            attribute = columns.find(name)
            equal.append(f"{columns.quote(attribute.name)} = %s")
            args.append(fitted(attribute, value, columns))
        pieces.append(f"({' AND '.join(equal)})")
    return f"({' OR '.join(pieces)})", tuple(args)


@dataclass(frozen=True)
class _Piece:
    """A part of the condition.

    Attributes
    ----------
    sql : str
    args : tuple
    attribute : datajoint.heading.Attribute or None
        If it is a plain attribute.
    literal : object
        Its value, if it is a plain one: a number as it was written, with `number` set.
    number : bool
    """

    sql: str
    args: tuple[Any, ...] = ()
    attribute: Any = None
    literal: str | bool | None = None
    number: bool = False


class _Parser:
    """Recursive descent, loosest binding first."""

    def __init__(self, tokens: list[Token], columns: Columns) -> None:
        self._tokens = tokens
        self._columns = columns
        self._at = 0

    def demand_end(self) -> None:
        if self._at < len(self._tokens):
            self._refuse(f"doesn't go on with {self._peek().text!r}")

    def condition(self, depth: int) -> _Piece:
        return self._joined("OR", lambda: self._joined("AND", lambda: self._negation(depth)))

    def _joined(self, word: str, part: Callable[[], _Piece]) -> _Piece:
        found = part()
        while self._take(word):
            other = part()
            found = _Piece(f"({found.sql} {word} {other.sql})", found.args + other.args)
        return found

    def _negation(self, depth: int) -> _Piece:
        self._check_depth(depth)
        if self._take("NOT"):
            found = self._negation(depth + 1)
            return _Piece(f"(NOT {found.sql})", found.args)
        return self._predicate(depth)

    def _predicate(self, depth: int) -> _Piece:
        left = self._sum(depth)
        token = self._peek()
        if token.kind == "sign" and token.text in _COMPARISONS:
            self._at += 1
            return self._compared(left, _COMPARISONS[token.text], self._sum(depth))
        if self._take("IS"):
            word = "IS NOT NULL" if self._take("NOT") else "IS NULL"
            self._demand("NULL")
            return _Piece(f"({left.sql} {word})", left.args)
        negated = "NOT " if self._peek(1).word in ("IN", "LIKE", "BETWEEN") and self._take("NOT") else ""
        if self._take("IN"):
            return self._among(left, negated, depth)
        if self._take("LIKE"):
            return self._like(left, negated)
        if self._take("BETWEEN"):
            low, high = self._fit(left, self._sum(depth)), None
            self._demand("AND")
            high = self._fit(left, self._sum(depth))
            sql = f"({left.sql} {negated}BETWEEN {low.sql} AND {high.sql})"
            return _Piece(sql, left.args + low.args + high.args)
        return left

    def _compared(self, left: _Piece, sign: str, right: _Piece) -> _Piece:
        left, right = self._fit(right, left), self._fit(left, right)
        return _Piece(f"({left.sql} {sign} {right.sql})", left.args + right.args)

    def _among(self, left: _Piece, negated: str, depth: int) -> _Piece:
        self._demand("(")
        values = [self._fit(left, self._sum(depth))]
        while self._take(","):
            values.append(self._fit(left, self._sum(depth)))
        self._demand(")")
        args = tuple(arg for value in values for arg in value.args)
        return _Piece(f"({left.sql} {negated}IN ({', '.join(v.sql for v in values)}))", left.args + args)

    def _like(self, left: _Piece, negated: str) -> _Piece:
        pattern = self._sum(0)
        if not isinstance(pattern.literal, str) or pattern.number:
            self._refuse("needs a string after LIKE, such as 'm%'")
        sql = left.sql
        if self._columns.backend == "postgresql" and left.attribute is not None:  # MySQL casts by itself
            sql = f"CAST({sql} AS TEXT)"
        return _Piece(f"({sql} {negated}LIKE {pattern.sql})", left.args + pattern.args)

    def _sum(self, depth: int) -> _Piece:
        return self._arithmetic(("+", "-"), lambda: self._arithmetic(("*", "/", "%"), lambda: self._factor(depth)))

    def _arithmetic(self, signs: tuple[str, ...], part: Callable[[], _Piece]) -> _Piece:
        found = part()
        while self._peek().kind == "sign" and self._peek().text in signs:
            sign = self._next().text.replace("%", "%%")  # what has arguments is a format
            other = part()
            found = _Piece(f"({found.sql} {sign} {other.sql})", found.args + other.args)
        return found

    def _factor(self, depth: int) -> _Piece:
        self._check_depth(depth)
        token = self._next()
        if token.kind == "number":
            return _Piece("%s", (self._number(token.text),), literal=token.text, number=True)
        if token.kind == "string":
            return self._string(token.text)
        if token.kind == "quoted":
            return self._attribute(token.text[1:-1])
        if token.text == "-":
            found = self._factor(depth + 1)
            if found.number:
                return _Piece("%s", (-found.args[0],), literal=f"-{found.literal}", number=True)
            return _Piece(f"(-{found.sql})", found.args)
        if token.text == "(":
            found = self.condition(depth + 1)
            self._demand(")")
            return found
        if token.word in ("TRUE", "FALSE"):
            return _Piece(token.word, literal=token.word == "TRUE")
        if token.word in _STATEMENTS:
            self._refuse(f"must be a condition without statements and subqueries, and has {token.text!r}")
        if token.kind == "word" and token.word not in _KEYWORDS:
            return self._call(token.text, depth) if self._peek().text == "(" else self._attribute(token.text)
        self._refuse(f"needs an attribute or a value where it has {token.text!r}" if token.text else "ends too early")

    def _number(self, text: str) -> int | float:
        try:
            return number(text)
        except ValueError:
            self._refuse(f"has a number that is too large: {text[:20]}")

    def _string(self, text: str) -> _Piece:
        quote, value = text[0], text[1:-1].replace(text[0] * 2, text[0])
        if value.endswith("\\") or "\\'" in value or '\\"' in value:
            self._refuse("has a backslash before a quote: double the quote instead")
        if quote == '"' and self._columns.backend == "postgresql" and value in self._columns.attributes:
            return self._attribute(value)
        return _Piece("%s", (value,), literal=value)

    def _attribute(self, name: str) -> _Piece:
        attribute = self._columns.find(name)
        return _Piece(self._columns.quote(attribute.name), attribute=attribute)

    def _call(self, name: str, depth: int) -> _Piece:
        pattern = FUNCTIONS.get(name.lower())
        if pattern is None:
            self._refuse(f"can't call {name!r}; it can call {', '.join(FUNCTIONS)}")
        self._demand("(")
        found = self._sum(depth + 1)
        self._demand(")")
        return _Piece(pattern.format(found.sql), found.args)

    def _fit(self, other: _Piece, value: _Piece) -> _Piece:
        """Return `value` as it is compared with `other`: a plain value must fit a plain attribute."""
        if other.attribute is None or value.literal is None:
            return value
        return _Piece("%s", (fitted(other.attribute, value.literal, self._columns),))

    def _check_depth(self, depth: int) -> None:
        if depth > DEPTH_MAX:
            self._refuse(f"is nested more than {DEPTH_MAX} deep: list keys instead")

    def _peek(self, ahead: int = 0) -> Token:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else Token("end", "")

    def _next(self) -> Token:
        token = self._peek()
        self._at += 1
        return token

    def _take(self, text: str) -> bool:
        token = self._peek()
        if text in (token.word, token.text if token.kind == "sign" else ""):
            self._at += 1
            return True
        return False

    def _demand(self, text: str) -> None:
        if not self._take(text):
            token = self._peek()
            if token.word in _STATEMENTS:
                self._refuse(f"must be a condition without statements and subqueries, and has {token.text!r}")
            found = f"{token.text!r}" if token.text else "its end"
            self._refuse(f"needs {text!r} where it has {found}")

    def _refuse(self, why: str) -> NoReturn:
        raise UsageError(f"The restriction {why}.")
