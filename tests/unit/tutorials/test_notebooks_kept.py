"""Tutorials are kept as a reader opens them: valid, without outputs, each saying what one will have at the end."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest

from tests.support.tutorials.notebooks import NAMES, TUTORIALS, parameters_cell, read


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def notebook(name: str) -> Any:
    return read(name)


def test_there_are_seven() -> None:
    assert [name[0] for name in NAMES] == list("1234567")


def test_it_is_a_valid_notebook(notebook: Any) -> None:
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"


def test_no_output_is_kept(notebook: Any) -> None:
    for cell in notebook.cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


def test_it_says_what_one_will_have_and_what_to_install(name: str, notebook: Any) -> None:
    first = notebook.cells[0].source
    assert first.startswith(f"# {name[0]}. ")
    assert "**At the end you will have**" in first
    assert re.search(r"pip install '(\.|fmdj-cloud)\[", first)


def test_its_sizes_can_be_changed_in_one_cell(notebook: Any) -> None:
    values = re.findall(r"^([A-Z_, ]+) = ", parameters_cell(notebook).source, re.M)
    assert "FOLDER" in values


def test_its_links_lead_somewhere(notebook: Any) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)#]+)\)", cell.source):
                assert "://" in target or (TUTORIALS / target).exists(), target


def test_it_needs_nothing_of_the_tests(notebook: Any) -> None:
    assert not [
        cell.source for cell in notebook.cells if re.search(r"\btests\.(support|integration)|conftest", cell.source)
    ]


def test_the_index_names_it(name: str) -> None:
    assert f"({name}.ipynb)" in (TUTORIALS / "index.md").read_text("utf-8")
