"""As much of the Common Expression Language as rules of CustomResourceDefinitions use."""

from __future__ import annotations

import ast
import functools
import re
from typing import Any

from tests.support.kube.cel_values import (
    METHODS,
    CelError,
    Eval,
    Scope,
    binary,
    field,
    guard,
    index,
    logic,
    macro,
    string,
    there,
)

__all__ = ["CelError", "Program", "compile_rule"]

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
            left = logic(left, self._and(), decides=True)
        return left

    def _and(self) -> Eval:
        left = self._relation()
        while self._take("&&"):
            left = logic(left, self._relation(), decides=False)
        return left

    def _relation(self) -> Eval:
        left = self._sum()
        while sign := self._take("==", "!=", "<=", ">=", "<", ">", "in"):
            left = binary(sign, left, self._sum())
        return left

    def _sum(self) -> Eval:
        left = self._product()
        while sign := self._take("+", "-"):
            left = binary(sign, left, self._product())
        return left

    def _product(self) -> Eval:
        left = self._unary()
        while sign := self._take("*", "/", "%"):
            left = binary(sign, left, self._unary())
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
                value = self._call(value, name) if self._peek() == "(" else field(value, name)
            elif self._take("["):
                place = self.ternary()
                self._expect("]")
                value = index(value, place)
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
            return lambda scope: there(inner, scope)
        arguments = self._arguments(")")
        known = {"size": len, "string": string, "int": int, "double": float, "bool": bool}
        if name not in known or len(arguments) != 1:
            raise CelError(f"undeclared reference to '{name}' (in container '')")
        return guard(known[name], arguments[0])

    def _call(self, value: Eval, name: str) -> Eval:
        self._expect("(")
        if name in _MACROS:
            variable = self._next()
            self._expect(",")
            self._bound.append(variable)
            inner = self.ternary()
            self._bound.pop()
            self._expect(")")
            return macro(name, value, variable, inner)
        arguments = self._arguments(")")
        function = METHODS.get(name)
        if function is None:
            raise CelError(f"undeclared reference to '{name}' (in container '')")

        def call(scope: Scope) -> Any:
            try:
                return function(value(scope), *(one(scope) for one in arguments))
            except (TypeError, AttributeError) as error:
                raise CelError("no such overload") from error

        return call
