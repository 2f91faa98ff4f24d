"""The rule of the top conftest: with CI=true, a skipped test fails the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[2] / "conftest.py"
MARKERS = "".join(f"    {name}: x\n" for name in ("unit", "integration", "cluster", "long"))


def run(folder: Path, source: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text(f"[pytest]\nmarkers =\n{MARKERS}")
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "test_it.py").write_text(f"import pytest\n{source}\n")
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "KUBECONFIG", "PYTEST_ADDOPTS")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


SKIPS = {
    "mark": "@pytest.mark.skip(reason='lazy')\ndef test_x(): pass",
    "inside": "def test_x(): pytest.skip('lazy')",
    "module": "pytest.importorskip('no_such_module_lazy')\ndef test_x(): pass",
}


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS.keys())
def test_a_skip_fails_the_run_in_ci_and_is_named(tmp_path: Path, source: str) -> None:
    result = run(tmp_path, source, CI="true")

    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert "skipped, which CI doesn't allow" in result.stdout
    assert "lazy" in result.stdout


def test_a_skip_passes_elsewhere(tmp_path: Path) -> None:
    assert run(tmp_path, SKIPS["inside"]).returncode == pytest.ExitCode.OK


def test_a_skip_fails_the_run_in_ci_with_several_processes(tmp_path: Path) -> None:
    assert run(tmp_path, SKIPS["inside"], "-n", "2", CI="true").returncode == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    "source",
    [
        "@pytest.mark.cluster\ndef test_x(): raise AssertionError('ran without a cluster')",
        "def test_x(): pytest.skip('FMDJ_TEST_MYSQL_URL names no server')",
        "@pytest.mark.xfail(strict=True)\ndef test_x(): assert False",
        "def test_x(): pass",
    ],
)
def test_what_may_be_skipped_passes_in_ci(tmp_path: Path, source: str) -> None:
    assert run(tmp_path, source, CI="true").returncode == pytest.ExitCode.OK


def test_a_cluster_test_without_a_cluster_says_why_it_is_skipped(tmp_path: Path) -> None:
    result = run(tmp_path, "@pytest.mark.cluster\ndef test_x(): pass", "-rs")

    assert "KUBECONFIG names no cluster" in result.stdout


def test_a_test_without_a_marker_is_a_unit_test(tmp_path: Path) -> None:
    source = "def test_plain(): pass\n@pytest.mark.integration\ndef test_other(): pass"

    result = run(tmp_path, source, "-m", "unit")

    assert "1 passed, 1 deselected" in result.stdout
