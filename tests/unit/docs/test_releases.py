"""One version, release notes from fragments, and a checklist that a release can follow."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

import fmdj_cloud
from fmdj_cloud.pipeline.ledger_schema import MIGRATIONS, SCHEMA_VERSION
from tests.support.docs.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
VERSION = PROJECT["project"]["version"]
CHART = yaml.safe_load((ROOT / "helm" / "fmdj-cloud" / "Chart.yaml").read_text("utf-8"))
VALUES = yaml.safe_load((ROOT / "helm" / "fmdj-cloud" / "values.yaml").read_text("utf-8"))
TYPES = [one["directory"] for one in PROJECT["tool"]["towncrier"]["type"]]


def semver(version: str) -> str:
    """A version of Python's packages as Helm writes it."""
    found = Version(version)
    text = ".".join(str(part) for part in found.release)
    for kind, number in (("dev", found.dev), (found.pre[0], found.pre[1]) if found.pre else ("", None)):
        text += f"-{kind}.{number}" if number is not None else ""
    return text


def test_package_chart_images_and_citation_have_one_version() -> None:
    assert fmdj_cloud.__version__ == VERSION
    assert CHART["appVersion"] == VERSION
    assert CHART["version"] == semver(VERSION)
    for image in ("controller", "worker"):
        assert VALUES["images"][image]["tag"] == "", "an empty tag is the chart's appVersion"
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == VERSION


@pytest.mark.parametrize("page", ["docs/install.md", "docs/howto/gpus.md", "docs/howto/air-gapped.md"])
def test_pages_name_images_of_this_version(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    tags = re.findall(r"fmdj-(?:controller|worker):([\w.]+)|tag: ([\w.]+)", text)
    assert {one or other for one, other in tags} == {VERSION}


def test_examples_name_images_of_this_version() -> None:
    for path in (ROOT / "helm" / "fmdj-cloud" / "examples").glob("*.yaml"):
        named = re.findall(r"tag: (\d[\w.]*)|fmdj-worker:(\d[\w.]*)", path.read_text("utf-8"))
        assert {one or other for one, other in named} <= {VERSION}, path.name


def test_every_fragment_is_of_a_known_type() -> None:
    fragments = [path.name for path in (ROOT / "news").iterdir() if path.name not in ("README.md", "template.md.jinja")]
    pattern = rf"(\d+|\+[\w-]+)\.({'|'.join(TYPES)})(\.\d+)?\.md"
    assert [name for name in fragments if not re.fullmatch(pattern, name)] == []


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A copy of what towncrier reads and writes, without fragments."""
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "news").mkdir()
    shutil.copy(ROOT / "news" / "template.md.jinja", tmp_path / "news")
    return tmp_path


def towncrier(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "towncrier", *words, "--dir", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=folder).stdout


def test_release_notes_always_tell_of_compatibility_and_schema(release: Path) -> None:
    (release / "news" / "+shards.added.md").write_text("Recordings are computed in parts.")
    (release / "news" / "12.schema.md").write_text("Version 9: run `fmdj migrate`.")
    towncrier(release, "build", "--yes", "--version", "9.9.0", "--date", "2026-11-23")
    text = (release / "CHANGELOG.md").read_text("utf-8")
    notes = text.partition("## 9.9.0 - 2026-11-23")[2].partition("\n## ")[0]
    assert "### Works with\nAs before" in notes
    assert "### Schema of the ledger\n- Version 9: run `fmdj migrate`. (#12)" in notes
    assert "### Added\n- Recordings are computed in parts.\n" in notes
    assert "### Fixed" not in notes
    assert "\n\n\n" not in text
    assert "parts.\n\n## " in text
    before = (ROOT / "CHANGELOG.md").read_text("utf-8").partition("<!-- towncrier release notes start -->")[2]
    assert text.rstrip().endswith(before.strip()), "what was there stays as it is"


def test_every_older_schema_has_a_way_to_this_one() -> None:
    assert sorted(MIGRATIONS) == list(range(SCHEMA_VERSION))


def test_contributing_has_a_checklist_for_a_release() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Releases")[2]
    for word in (
        "towncrier build",
        "pyproject.toml",
        "Chart.yaml",
        "CITATION.cff",
        "fmdj migrate",
        "make test-long",
        "git tag",
    ):
        assert word in text, word
