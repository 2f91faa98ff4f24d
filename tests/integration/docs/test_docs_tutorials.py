"""Tutorials on the site show what their cells show, where `make docs` has run them since they changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from docs.run_tutorials import readable
from tests.support.docs.pages import ROOT

pytestmark = pytest.mark.integration
SHOWN = "the answer is 42"
CONFIG = f"""
site_name: small
hooks: [{ROOT}/docs/hooks.py]
plugins: [{{mkdocs-jupyter: {{include: ["tutorials/*.ipynb"], execute: false, cache: false}}}}]
exclude_docs: /pictures/tutorials/
nav: [{{Home: index.md}}, {{Tutorials: []}}]
"""


def notebook(source: str, shown: str = "") -> Any:
    """A tutorial of one cell, behind one that changes a parameter where it has been run."""
    cell = nbformat.v4.new_code_cell(source)
    changed = nbformat.v4.new_code_cell("FRAMES = 1", metadata={"tags": ["changed-parameters"]})
    cell.outputs = [nbformat.v4.new_output("stream", text=shown)] if shown else []
    return nbformat.v4.new_notebook(cells=[*([changed] if shown else ()), cell])


@pytest.mark.parametrize(("run", "found"), [("answer()", True), ("older()", False), (None, False)])
def test_a_tutorial_is_shown_with_its_outputs(tmp_path: Path, run: str | None, found: bool) -> None:
    (tmp_path / "mkdocs.yml").write_text(CONFIG)
    for folder in ("tutorials", "pictures/tutorials"):
        (tmp_path / "docs" / folder).mkdir(parents=True)
    (tmp_path / "docs" / "index.md").write_text("# Small")
    nbformat.write(notebook("answer()"), tmp_path / "docs" / "tutorials" / "one.ipynb")
    if run is not None:
        nbformat.write(notebook(run, SHOWN), tmp_path / "docs" / "pictures" / "tutorials" / "one.ipynb")

    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--no-directory-urls"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert answer.returncode == 0, answer.stderr
    page = (tmp_path / "site" / "tutorials" / "one.html").read_text("utf-8")
    assert "answer" in page
    assert (SHOWN in page) is found
    assert not (tmp_path / "site" / "pictures").exists()


def test_what_commands_print_is_shown_in_one_piece_without_colours_and_warnings() -> None:
    pieces = [("stdout", "12 fra"), ("stderr", "beware"), ("stdout", "mes, \x1b[3"), ("stdout", "2mloaded\x1b[0m\n")]
    outputs = [nbformat.v4.new_output("stream", name=name, text=text) for name, text in pieces]
    picture = nbformat.v4.new_output("display_data", {"image/png": "abc"})
    (text, kept) = readable([*outputs, picture])
    assert text["text"] == "12 frames, loaded\n"
    assert kept is picture
