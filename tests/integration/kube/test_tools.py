"""kubectl and helm for tests are those that were written down."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from tests.support.kube.tools import HELM, HELM_OLD, KUBECTL, KUBECTL_OLD, Tool, ToolError, tool

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("wanted", [KUBECTL, KUBECTL_OLD, HELM, HELM_OLD], ids=lambda one: f"{one.name}-{one.version}")
def test_a_tool_is_of_the_version_that_its_folder_names(wanted: Tool) -> None:
    words = ["version", "--client"] if wanted.name == "kubectl" else ["version"]
    answer = subprocess.run([tool(wanted), *words], capture_output=True, text=True, check=True)
    assert f"v{wanted.version}" in answer.stdout


def test_another_program_than_the_one_written_down_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="SHA-256"):
        tool(dataclasses.replace(KUBECTL, sha256="0" * 64), tmp_path)
    assert not (tmp_path / "kubectl-1.33.9" / "kubectl").exists()
