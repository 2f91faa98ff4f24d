"""Whatever pages say that tests show is shown by tests that run."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest
import yaml

from tests.support.docs.pages import ROOT

MATRIX = yaml.safe_load((ROOT / "docs" / "compatibility.yaml").read_text("utf-8"))
NAMED = sorted({test for table in MATRIX["tables"] for cell in table["cells"] for test in cell["tests"]})
PAGE = ROOT / "docs" / "elements-and-facemap.md"
SECTIONS = re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.M)[1:]
NEVER = {"long", "cluster", "skip", "skipif", "xfail"}
"""Marks of tests that ``make test`` doesn't run, or not everywhere."""


@functools.cache
def module(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def marks(nodes: list[ast.expr]) -> set[str]:
    return {node.attr for one in nodes for node in ast.walk(one) if isinstance(node, ast.Attribute)}


def module_marks(tree: ast.Module) -> set[str]:
    assigned = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets)
    ]
    return marks(assigned)


@pytest.mark.parametrize("test", NAMED)
def test_every_yes_names_a_test_that_make_test_runs(test: str) -> None:
    name, _, function = test.partition("::")
    assert (ROOT / name).is_file()
    tree = module(ROOT / name)
    (found,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    assert not (module_marks(tree) | marks(found.decorator_list)) & NEVER


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.splitlines()[0])
def test_every_item_of_the_roadmap_names_tests_that_are_there(section: str) -> None:
    paths = re.findall(r"\]\(\.\./(tests/[\w/]+\.py)\)", section)
    assert paths
    for path in paths:
        functions = [node for node in ast.walk(module(ROOT / path)) if isinstance(node, ast.FunctionDef)]
        assert any(function.name.startswith("test_") for function in functions), path
        assert not module_marks(module(ROOT / path)) & NEVER, path


def test_the_page_has_every_item_of_the_roadmap() -> None:
    words = [section.splitlines()[0].lower() for section in SECTIONS]
    items = ("tutorials", "loading facemap data", "running facemap", "terminology", "releases", "licences", "citation")
    for item in (*items, "issues of joint use"):
        assert any(item in word for word in words), item
