"""As much of the Common Expression Language as rules of CustomResourceDefinitions use."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>\d+\.\d+|\d+)u? |
    (?P<text>r?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")) |
    (?P<name>[A-Za-z_][A-Za-z0-9_]*) |
    (?P<sign>\|\||&&|==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])
    )""",
    re.VERBOSE,
)
_ROOTS = ("self", "oldSelf")
_MACROS = ("all", "exists", "exists_one", "map", "filter")

Scope = dict[str, Any]
Eval = Callable[[Scope], Any]


class CelError(Exception):
    """An expression that can't be read, or has no value."""


class Program:
    """A rule that has been read."""

    def __init__(self, run: Eval, names: set[str]) -> None:
        self.run = run
        self._names = names

    def uses(self, name: str) -> bool:
        """Return whether a variable occurs."""
        return name in self._names


@functools.cache
def compile_rule(text: str) -> Program:
    """Return a rule to be run.

    Raises
    ------
    CelError
        If it isn't one, or uses what is not known here.
    """
    parser = _Parser(text)
    run = parser.ternary()
    parser.expect_end()
    return Program(run, parser.names)


class _Parser:
    """Reads by descent; every level returns a function of the variables."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self.names: set[str] = set()
        self._bound: list[str] = []
        place, text = 0, text.rstrip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise CelError(f"Syntax error: token recognition error at: '{text[place : place + 10]}'")
            self._tokens.append((found.lastgroup or "", found[found.lastgroup or 0]))
            place = found.end()
        self._at = 0

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _take(self, *signs: str) -> str:
        if self._kind() in ("sign", "name") and self._peek() in signs:
            return self._next()
        return ""

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise CelError(f"Syntax error: expected '{sign}' at '{self._peek()}'")

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            raise CelError(f"Syntax error: extraneous input '{self._peek()}'")

    def ternary(self) -> Eval:
        test = self._or()
        if not self._take("?"):
            return test
        yes = self.ternary()
        self._expect(":")
        no = self.ternary()
        return lambda scope: yes(scope) if test(scope) else no(scope)

    def _or(self) -> Eval:
        left = self._and()
        while self._take("||"):
            left = _logic(left, self._and(), decides=True)
        return left

    def _and(self) -> Eval:
        left = self._relation()
        while self._take("&&"):
            left = _logic(left, self._relation(), decides=False)
        return left

    def _relation(self) -> Eval:
        left = self._sum()
        while sign := self._take("==", "!=", "<=", ">=", "<", ">", "in"):
            left = _binary(sign, left, self._sum())
        return left

    def _sum(self) -> Eval:
        left = self._product()
        while sign := self._take("+", "-"):
            left = _binary(sign, left, self._product())
        return left

    def _product(self) -> Eval:
        left = self._unary()
        while sign := self._take("*", "/", "%"):
            left = _binary(sign, left, self._unary())
        return left

    def _unary(self) -> Eval:
        if self._take("!"):
            inner = self._unary()
            return lambda scope: not inner(scope)
        if self._take("-"):
            inner = self._unary()
            return lambda scope: -inner(scope)
        return self._member()

    def _member(self) -> Eval:
        value = self._primary()
        while True:
            if self._take("."):
                name = self._next()
                value = self._call(value, name) if self._peek() == "(" else _field(value, name)
            elif self._take("["):
                index = self.ternary()
                self._expect("]")
                value = _index(value, index)
            else:
                return value

    def _primary(self) -> Eval:
        kind, token = self._kind(), self._next()
        if kind == "number":
            number: Any = float(token) if "." in token else int(token)
            return lambda scope: number
        if kind == "text":
            text = ast.literal_eval(token)
            return lambda scope: text
        if token == "(":
            inner = self.ternary()
            self._expect(")")
            return inner
        if token == "[":
            items = self._arguments("]")
            return lambda scope: [one(scope) for one in items]
        if kind == "name" and token in ("true", "false", "null"):
            constant = {"true": True, "false": False, "null": None}[token]
            return lambda scope: constant
        if kind == "name" and self._peek() == "(":
            return self._function(token)
        if kind == "name":
            if token not in _ROOTS and token not in self._bound:
                raise CelError(f"undeclared reference to '{token}' (in container '')")
            self.names.add(token)
            return lambda scope: scope[token]
        raise CelError(f"Syntax error: mismatched input '{token}'")

    def _arguments(self, end: str) -> list[Eval]:
        found: list[Eval] = []
        while not self._take(end):
            if found:
                self._expect(",")
            found.append(self.ternary())
        return found

    def _function(self, name: str) -> Eval:
        self._expect("(")
        if name == "has":
            place = self._at
            inner = self.ternary()
            self._expect(")")
            if self._tokens[self._at - 3][1] != "." or self._tokens[place][0] != "name":
                raise CelError("invalid argument to has() macro")
            return lambda scope: _there(inner, scope)
        arguments = self._arguments(")")
        known = {"size": len, "string": _string, "int": int, "double": float, "bool": bool}
        if name not in known or len(arguments) != 1:
            raise CelError(f"undeclared reference to '{name}' (in container '')")
        return _guard(known[name], arguments[0])

    def _call(self, value: Eval, name: str) -> Eval:
        self._expect("(")
        if name in _MACROS:
            variable = self._next()
            self._expect(",")
            self._bound.append(variable)
            inner = self.ternary()
            self._bound.pop()
            self._expect(")")
            return _macro(name, value, variable, inner)
        arguments = self._arguments(")")
        function = _METHODS.get(name)
        if function is None:
            raise CelError(f"undeclared reference to '{name}' (in container '')")

        def call(scope: Scope) -> Any:
            try:
                return function(value(scope), *(one(scope) for one in arguments))
            except (TypeError, AttributeError) as error:
                raise CelError("no such overload") from error

        return call


_METHODS: dict[str, Callable[..., Any]] = {
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


def _string(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _guard(function: Callable[[Any], Any], argument: Eval) -> Eval:
    def run(scope: Scope) -> Any:
        try:
            return function(argument(scope))
        except (TypeError, ValueError) as error:
            raise CelError("no such overload") from error

    return run


def _there(inner: Eval, scope: Scope) -> bool:
    try:
        return inner(scope) is not None
    except _NoKeyError:
        return False


class _NoKeyError(CelError):
    """A field that isn't there."""


def _field(value: Eval, name: str) -> Eval:
    def run(scope: Scope) -> Any:
        found = value(scope)
        if not isinstance(found, dict) or name not in found:
            raise _NoKeyError(f"no such key: {name}")
        return found[name]

    return run


def _index(value: Eval, index: Eval) -> Eval:
    def run(scope: Scope) -> Any:
        found, place = value(scope), index(scope)
        try:
            return found[place]
        except (KeyError, IndexError, TypeError) as error:
            raise CelError(f"no such key or index: {place}") from error

    return run


def _logic(left: Eval, right: Eval, *, decides: bool) -> Eval:
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


def _binary(sign: str, left: Eval, right: Eval) -> Eval:
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


def _macro(name: str, value: Eval, variable: str, inner: Eval) -> Eval:
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
