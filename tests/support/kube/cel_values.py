"""Values of the Common Expression Language: fields, operators, functions, macros."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Scope = dict[str, Any]
Eval = Callable[[Scope], Any]


class CelError(Exception):
    """An expression that can't be read, or has no value."""


METHODS: dict[str, Callable[..., Any]] = {
    "size": len,
    "startsWith": lambda text, part: text.startswith(part),
    "endsWith": lambda text, part: text.endswith(part),
    "contains": lambda text, part: part in text,
    "matches": lambda text, pattern: re.search(pattern, text) is not None,
    "lowerAscii": lambda text: text.lower(),
    "upperAscii": lambda text: text.upper(),
    "split": lambda text, sign: text.split(sign),
    "trim": lambda text: text.strip(),
    "join": lambda items, sign="": sign.join(items),
    "isSorted": lambda items: items == sorted(items),
    "sum": sum,
}


def string(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def guard(function: Callable[[Any], Any], argument: Eval) -> Eval:
    def run(scope: Scope) -> Any:
        try:
            return function(argument(scope))
        except (TypeError, ValueError) as error:
            raise CelError("no such overload") from error

    return run


def there(inner: Eval, scope: Scope) -> bool:
    try:
        return inner(scope) is not None
    except _NoKeyError:
        return False


class _NoKeyError(CelError):
    """A field that isn't there."""


def field(value: Eval, name: str) -> Eval:
    def run(scope: Scope) -> Any:
        found = value(scope)
        if not isinstance(found, dict) or name not in found:
            raise _NoKeyError(f"no such key: {name}")
        return found[name]

    return run


def index(value: Eval, index: Eval) -> Eval:
    def run(scope: Scope) -> Any:
        found, place = value(scope), index(scope)
        try:
            return found[place]
        except (KeyError, IndexError, TypeError) as error:
            raise CelError(f"no such key or index: {place}") from error

    return run


def logic(left: Eval, right: Eval, *, decides: bool) -> Eval:
    """``||`` and ``&&``: one side that decides is enough, even if the other one fails."""

    def run(scope: Scope) -> bool:
        try:
            if left(scope) is decides:
                return decides
        except CelError:
            if right(scope) is decides:
                return decides
            raise
        return bool(right(scope))

    return run


def binary(sign: str, left: Eval, right: Eval) -> Eval:
    functions: dict[str, Callable[[Any, Any], Any]] = {
        "==": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
        "in": lambda a, b: a in b,
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "/": lambda a, b: a / b if isinstance(a, float) else int(a / b),
        "%": lambda a, b: a % b,
    }
    function = functions[sign]

    def run(scope: Scope) -> Any:
        try:
            return function(left(scope), right(scope))
        except (TypeError, ZeroDivisionError) as error:
            raise CelError(f"no such overload: {sign}") from error

    return run


def macro(name: str, value: Eval, variable: str, inner: Eval) -> Eval:
    def run(scope: Scope) -> Any:
        items = list(value(scope))
        results = [inner({**scope, variable: one}) for one in items]
        if name == "map":
            return results
        if name == "filter":
            return [one for one, good in zip(items, results, strict=True) if good]
        if name == "exists_one":
            return sum(map(bool, results)) == 1
        return all(results) if name == "all" else any(results)

    return run
