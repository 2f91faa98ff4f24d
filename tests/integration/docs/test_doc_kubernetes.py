"""Lines of helm and kubectl in README and docs/ are taken apart by helm and kubectl; values fit the chart."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.docs.pages import ROOT, Block, written
from tests.support.kube.tools import HELM, KUBECTL, tool

pytestmark = pytest.mark.integration
CHART = ROOT / "helm" / "fmdj-cloud"
LINES = [
    (f"{page.name}:{line}", part.strip())
    for page in written()
    for line, command in page.commands()
    for part in re.split(r"&&|;", command)
    if re.match(r"(helm|kubectl) ", part.strip()) and not part.strip().startswith("kubectl fmdj")
]
VALUES = [
    block
    for page in written()
    if page.name.startswith("docs/")
    for block in page.blocks()
    if block.language == "yaml" and re.match(r"# [\w-]+\.yaml", block.text) and "fmdj.yaml" not in block.text[:20]
]


@pytest.mark.parametrize(("place", "line"), LINES, ids=[place for place, _ in LINES])
def test_helm_and_kubectl_understand_their_lines(place: str, line: str, tmp_path: Path) -> None:
    """With --help last, they read every word, and do nothing."""
    program, _, rest = line.partition(" ")
    command = f"{tool(HELM if program == 'helm' else KUBECTL)} {rest} --help"
    answer = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd=tmp_path, env={"HOME": str(tmp_path)}
    )
    assert answer.returncode == 0, answer.stderr
    assert "unknown command" not in answer.stdout + answer.stderr
    assert rest.split()[0] == "-n" or re.search(rf"{program} {rest.split()[0]}", answer.stdout), answer.stdout[:300]


@pytest.mark.parametrize("block", VALUES, ids=lambda block: f"{block.page}:{block.line}")
def test_values_in_pages_fit_the_chart(block: Block, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(block.text)
    whole = () if "beside the rest" not in block.text.splitlines()[0] else (f"--values={CHART}/examples/minimal.yaml",)
    command = [str(tool(HELM)), "lint", "--strict", "--quiet", str(CHART), *whole, f"--values={values}"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_there_are_lines_and_values_at_all() -> None:
    assert len(LINES) > 10
    assert len(VALUES) > 5
