"""The page of contracts: the frozen models and words that pass between parts, and lie in files."""

from __future__ import annotations

import ast
import enum
import inspect
import itertools
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from reference_words import bounds, cell, type_name

from fmdj_cloud import contracts

_INTRODUCTION = """# Contracts

Written by `python docs/reference.py` from `fmdj_cloud/contracts/`.

Parts know each other only through these frozen models; unknown fields are refused. Some lie in files of an attempt's
folder, as JSON with these names: `spec.json` is a [RunSpec](#runspec), `manifest.json` a [Manifest](#manifest),
`progress.json` a [Progress](#progress), `basis.json` a [BasisCommit](#basiscommit) and `part-<i>.json` a
[PartCommit](#partcommit); a worker's termination message is a [TerminationMessage](#terminationmessage). Times are
UTC. Sizes are bytes unless a unit is in the name."""


def contracts_page() -> str:
    """Return docs/contracts.md."""
    found = [getattr(contracts, name) for name in contracts.__all__]
    models = [one for one in found if isinstance(one, type) and issubclass(one, BaseModel) and one.model_fields]
    words = [one for one in found if isinstance(one, type) and issubclass(one, enum.Enum)]
    lines = [_INTRODUCTION, "", "## Models", ""]
    for model in models:
        lines += _model(model)
    lines += ["## Words", ""]
    for one in words:
        lines += _enum(one)
    lines += ["## Versions", "", "| name | value | raised when |", "| --- | --- | --- |"]
    lines += [
        f"| `RESULT_VERSION` | {contracts.RESULT_VERSION} | the numbers that a run yields change |",
        f"| `SPEC_VERSION` | {contracts.SPEC_VERSION} | an older worker could not read a `spec.json` |",
        f"| `MANIFEST_VERSION` | {contracts.MANIFEST_VERSION} | an older reader could not read a `manifest.json` |",
    ]
    return "\n".join(lines).rstrip() + "\n"


def _model(model: type[BaseModel]) -> Iterator[str]:
    said = _said(model)
    yield from (f"### {model.__name__}", "", _doc(model), "", "| field | type | default | what |")
    yield "| --- | --- | --- | --- |"
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "required" if default is PydanticUndefined else _shown(default)
        kind = ", ".join(filter(None, (type_name(field.annotation), bounds(field.metadata))))
        yield f"| `{name}` | {cell(kind)} | {shown} | {cell(said.get(name, ''))} |"
    yield ""


def _enum(one: type[enum.Enum]) -> Iterator[str]:
    said = _said(one)
    yield from (f"### {one.__name__}", "", _doc(one), "", "| value | what |", "| --- | --- |")
    for member in one:
        yield f"| `{member.value}` | {cell(said.get(member.name, ''))} |"
    yield ""


def _shown(default: Any) -> str:
    if default in (None, "", (), {}):
        return "empty"
    return f"`{default.value if isinstance(default, enum.Enum) else default}`"


def _doc(one: type) -> str:
    """Return the summary of a docstring, without what NumPy's style puts into sections."""
    text = inspect.getdoc(one) or ""
    before = text.split("\n\nAttributes\n")[0].split("\n\nParameters\n")[0]
    return "\n\n".join(cell(paragraph) for paragraph in before.split("\n\n"))


def _said(one: type) -> dict[str, str]:
    """Return what stands in strings below attributes of a class."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
    body: list[ast.stmt] = getattr(node, "body", [])
    said = {}
    for before, after in itertools.pairwise(body):
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            target = before.target if isinstance(before, ast.AnnAssign) else None
            if isinstance(before, ast.Assign):
                (target,) = before.targets
            if isinstance(target, ast.Name):
                said[target.id] = inspect.cleandoc(after.value.value)
    return said
