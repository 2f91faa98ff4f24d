"""docs/install.md can be followed to the letter."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "install.md").read_text("utf-8")
Json = dict[str, Any]


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's own values file."""
    (text,) = re.findall(r"```yaml\n# lab\.yaml\n(.*?)```", PAGE, re.S)
    path = tmp_path_factory.mktemp("page") / "lab.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("which", ["helm-4", "helm-3"])
def test_its_values_are_good(helm: Callable[..., Any], chart: Path, values: Path, which: str) -> None:
    answer = helm(which, "lint", "--strict", str(chart), f"--values={values}")
    assert answer.returncode == 0, answer.stdout
    answer = helm(which, "template", "lab", str(chart), f"--values={values}", "--namespace=lab")
    assert answer.returncode == 0, answer.stderr


def test_the_secrets_it_makes_are_those_that_its_values_name(values: Path) -> None:
    made = {
        (name, key)
        for name, rest in re.findall(r"create secret generic (\S+)((?: --from-literal=\S+)+)", PAGE)
        for key in re.findall(r"--from-literal=(\w+)=", rest)
    }
    named = yaml.safe_load(values.read_text())["settingsFromSecrets"].values()
    assert {tuple(reference.split("/")) for reference in named} == made


def test_it_names_every_example(chart: Path) -> None:
    table = PAGE.partition("## Examples")[2].partition("##")[0]
    named = {
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([\w-]+)`", row.split("|")[1])
    }
    assert named == {path.stem for path in (chart / "examples").glob("*.yaml")}


def test_its_table_of_rights_is_the_role(minimal: list[Json]) -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith("| controller (and"))
    told = {
        resource: {verb.strip() for verb in verbs.split(",")}
        for resource, verbs in re.findall(r"`([\w/]+)` ([a-z, ]+)", row)
    }
    (role,) = (one for one in minimal if one["kind"] == "Role")
    may: dict[str, set[str]] = {}
    for rule in role["rules"]:
        may.setdefault(rule["resources"][0], set()).update(rule["verbs"])
    assert told == may


def test_every_file_and_page_that_it_names_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        if "://" not in target:
            assert (ROOT / "docs" / target).exists(), target
    for path in re.findall(r"(?:helm|images)/[\w./-]+\w", PAGE):
        assert (ROOT / path).exists(), path


def test_every_command_of_fmdj_that_it_names_exists() -> None:
    from fmdj_cloud.cli.app import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    named = set(re.findall(r"kubectl fmdj -n lab (\w+)|`fmdj (\w+)", PAGE))
    assert {one or other for one, other in named} <= known
