"""Scripts of docs/upstream show their fault in what is installed: each ends with an AssertionError as long."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from fmdj_cloud.settings import DatabaseSettings
from tests.support.docs.pages import ROOT

pytestmark = pytest.mark.integration
Processes = dict[str, subprocess.Popen[str]]
REPORTS = ROOT / "docs" / "upstream"
SCRIPTS = sorted(REPORTS.glob("*.py"))
FACEMAP = sorted(path.stem for path in SCRIPTS if path.stem.startswith("facemap-"))
APART = {
    "facemap-f9": "process.run has been busy",
    "facemap-pose-import": "raises URLError",
    "facemap-pose-views": "keypoints of the second view never move",
}
"""What needs a process of its own, for an alarm, a home or what it imports; and what it says."""
POSTGRESQL = {
    "datajoint-attach": "AttributeError",
    "datajoint-jobs-datetime": "Unsupported attribute type",
    "datajoint-replace": "QuerySyntaxError",
    "datajoint-uuid": "",
}


@contextlib.contextmanager
def started(names: Iterable[str], environment: dict[str, str], folder: Path) -> Iterator[Processes]:
    """Scripts, each in a process of its own."""
    processes = {
        name: subprocess.Popen(
            [sys.executable, REPORTS / f"{name}.py"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=folder,
        )
        for name in names
    }
    try:
        yield processes
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


@pytest.mark.parametrize("name", [name for name in FACEMAP if name not in APART])
def test_facemap_has_the_fault(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), pytest.raises(AssertionError) as raised:
        runpy.run_path(str(REPORTS / f"{name}.py"), run_name="__main__")
    assert len(str(raised.value)) > 20, "it says what was found"


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """All of them, started at once."""
    environment = os.environ | {"TMPDIR": str(tmp_path_factory.mktemp("apart"))}
    with started(APART, environment, tmp_path_factory.mktemp("cwd")) as processes:
        yield processes


@pytest.mark.parametrize("name", APART)
def test_facemap_has_the_fault_in_a_process_of_its_own(name: str, apart: Processes) -> None:
    _, said = apart[name].communicate(timeout=120)
    assert re.search(rf"^AssertionError: .*{re.escape(APART[name])}", said, re.M), said


def datajoint_environment(settings: DatabaseSettings) -> dict[str, str]:
    """How DataJoint finds one of our servers."""
    password = settings.password.get_secret_value() if settings.password else ""
    words = {
        "DJ_BACKEND": settings.backend,
        "DJ_HOST": settings.host,
        "DJ_PORT": settings.port,
        "DJ_USER": settings.user,
        "DJ_DATABASE_NAME": settings.name,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DJ_")}
    return (
        kept | {"DJ_PASS": password, "DJ_USE_TLS": "false"} | {name: str(word) for name, word in words.items() if word}
    )


@pytest.fixture(scope="module")
def on_postgresql(postgres_settings: DatabaseSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """All of them, started at once."""
    with started(POSTGRESQL, datajoint_environment(postgres_settings), tmp_path_factory.mktemp("dj")) as processes:
        yield processes


@pytest.mark.parametrize("name", POSTGRESQL)
def test_datajoint_has_the_fault_on_postgresql(name: str, on_postgresql: Processes) -> None:
    _, said = on_postgresql[name].communicate(timeout=120)
    assert re.search(rf"^AssertionError: .*{POSTGRESQL[name]}", said, re.M), said


def test_datajoint_lets_anybody_end_a_job(database_settings: DatabaseSettings, tmp_path: Path) -> None:
    with started(["datajoint-jobs-owner"], datajoint_environment(database_settings), tmp_path) as processes:
        _, said = processes["datajoint-jobs-owner"].communicate(timeout=120)
    assert "its reservation has become 'error'" in said, said


def test_datajoint_takes_a_value_that_is_too_large_for_a_lost_connection(
    mariadb_settings: DatabaseSettings, tmp_path: Path
) -> None:
    with started(["datajoint-packet"], datajoint_environment(mariadb_settings), tmp_path) as processes:
        _, said = processes["datajoint-packet"].communicate(timeout=120)
    assert "LostConnectionError" in said, said


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_compiles_and_has_a_report(path: Path) -> None:
    compile(path.read_text("utf-8"), str(path), "exec")
    assert path.stem == "element_case" or path.with_suffix(".md").exists()


def test_every_report_is_listed_and_says_all_that_an_issue_needs() -> None:
    index = (REPORTS / "index.md").read_text("utf-8")
    reports = [path for path in REPORTS.glob("*.md") if path.stem != "index"]
    assert {f"facemap-f{number}" for number in range(1, 12)} <= {path.stem for path in reports}
    for path in reports:
        text = path.read_text("utf-8")
        assert f"({path.name})" in index, path.name
        for word in (
            "| project |",
            "| seen with |",
            "| where |",
            "**What happens.**",
            "**What should.**",
            "**To see it.**",
        ):
            assert word in text, f"{path.name}: {word}"
        assert path.with_suffix(".py").exists(), path.name
