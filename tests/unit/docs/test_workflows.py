"""Workflows for a public forge: they fit its schema, do what the local commands do, and run nothing that may change."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.docs.pages import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def steps(path: Path) -> list[dict[str, Any]]:
    workflow = yaml.safe_load(path.read_text("utf-8"))
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize(
    ("schema", "paths"),
    [("github-workflows", WORKFLOWS), ("dependabot", [ROOT / ".github" / "dependabot.yml"])],
    ids=["workflows", "dependabot"],
)
def test_they_fit_the_forges_schema(schema: str, paths: list[Path]) -> None:
    """The schema is the one that check-jsonschema brings: nothing is fetched."""
    options = ["--builtin-schema", f"vendor.{schema}", *map(str, paths)]
    command = [sys.executable, "-m", "check_jsonschema", *options]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_say_which_release_that_is(path: Path) -> None:
    used = re.findall(r"uses: *(.*)", path.read_text("utf-8"))
    assert [line for line in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_one_action_is_one_commit() -> None:
    pins = {pin for path in WORKFLOWS for pin in re.findall(r"uses: *(\S+)@(\w+)", path.read_text("utf-8"))}
    assert len({action for action, _ in pins}) == len(pins)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_they_may_read_the_repository_and_no_more_unless_a_job_says_so(path: Path) -> None:
    assert yaml.safe_load(path.read_text("utf-8"))["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_text_of_a_request_gets_into_a_script(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", ""), step["run"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_they_run_is_there(path: Path) -> None:
    for step in steps(path):
        script = step.get("run", "")
        for target in re.findall(r"\bmake ([\w./-]+)", script):
            name = target.replace(".venv/", "$(VENV)/")
            assert re.search(rf"^{re.escape(name)}:", MAKEFILE, re.M), target
        for named in re.findall(r"(?:^|\s)((?:tests|images|helm|docs|\.ci)/[\w./-]+)", script):
            assert (ROOT / named).exists(), named


def test_ci_is_the_local_command() -> None:
    assert ".ci/run" in [step.get("run") for step in steps(ROOT / ".github" / "workflows" / "ci.yml")]


def test_ci_runs_with_each_python_that_the_package_names() -> None:
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    ci = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    assert ci["jobs"]["test"]["strategy"]["matrix"]["python"] == named


@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_another_python_is_refused_before_anything_is_installed(tmp_path: Path, version: str) -> None:
    other = tmp_path / "python"
    numbers = version.replace(".", ", ")
    other.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = ({numbers}, 0)\n$2"\n')
    other.chmod(0o755)
    command = ["make", "-f", str(ROOT / "Makefile"), ".venv/bin/python", f"PYTHON={other}"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert answer.returncode != 0
    assert f"is Python {version}, and 3.11 or 3.12 is needed" in " ".join(answer.stderr.split())
    assert not (tmp_path / ".venv").exists()


def test_a_release_publishes_package_images_and_chart() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    for word in ("uv publish", "docker/build-push-action@", "helm push", "fmdj-controller", "fmdj-worker"):
        assert word in text, word


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("assert False", 0, "still there"),
        ("import nothing_of_that_name", 1, "doesn't run any more"),
        ("", 1, "the fault is gone"),
    ],
    ids=["fault", "broken", "gone"],
)
def test_a_report_that_crashes_is_not_taken_for_a_fault_that_is_there(
    tmp_path: Path, script: str, code: int, said: str
) -> None:
    (step,) = (one for one in steps(ROOT / ".github" / "workflows" / "weekly.yml") if "upstream" in str(one))
    (tmp_path / "element-one.py").write_text(script)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-e", "-o", "pipefail", "-c", step["run"]]
    answer = subprocess.run(command, cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, timeout=60)
    assert (answer.returncode, said in answer.stdout) == (code, True), answer.stdout + answer.stderr


def test_the_weekly_run_takes_the_newest_of_all_three() -> None:
    text = (ROOT / ".github" / "workflows" / "weekly.yml").read_text("utf-8")
    for word in ("--upgrade facemap", "--upgrade datajoint", "element-facemap"):
        assert word in text, word
