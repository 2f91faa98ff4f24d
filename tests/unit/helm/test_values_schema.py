"""values.yaml, its schema and the settings of the package agree."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from fmdj_cloud import __version__
from fmdj_cloud.settings import Settings

HELM = Path(__file__).parents[3] / "helm"
CHART = HELM / "fmdj-cloud"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
OPEN = {"global"}
"""What Helm itself adds to the values of a chart that is part of another."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("helm_schema", HELM / "schema.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, one in node.get("properties", {}).items():
        yield from nodes(one, f"{path}.{name}".lstrip("."))
    for one in node.get("patternProperties", {}).values():
        yield from nodes(one, f"{path}.*")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from nodes(node[key], f"{path}[]")


def test_the_written_files_are_those_of_the_settings() -> None:
    answer = subprocess.run(
        [sys.executable, str(HELM / "schema.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr


def test_the_schema_is_one_that_both_helms_know() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_no_name_is_let_through_unknown() -> None:
    for path, node in nodes(SCHEMA):
        kinds = node.get("type", ())
        if path not in OPEN and ("object" in ([kinds] if isinstance(kinds, str) else kinds)):
            closed = node.get("additionalProperties")
            assert closed is False or (isinstance(closed, dict) and "type" in closed), path


def test_patterns_are_ones_that_helm_s_language_knows() -> None:
    for path, node in nodes(SCHEMA):
        patterns = [
            node.get("pattern"),
            node.get("propertyNames", {}).get("pattern"),
            *node.get("patternProperties", ()),
        ]
        for pattern in filter(None, patterns):
            re.compile(pattern)
            assert not re.search(r"\(\?[=!<]|\\Z", pattern), f"{path}: {pattern}"


def test_the_values_keep_to_the_schema() -> None:
    assert [error.message for error in Draft7Validator(SCHEMA).iter_errors(VALUES)] == []


def keys(values: Any, schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, set[str], set[str]]]:
    """Yield what values and schema know at each level that both have fields for."""
    if not isinstance(values, dict) or "properties" not in schema:
        return
    yield path, set(values), set(schema["properties"])
    for name, value in values.items():
        yield from keys(value, schema["properties"].get(name, {}), f"{path}.{name}".lstrip("."))


@pytest.mark.parametrize("path", sorted(SCHEMA["properties"].keys() - OPEN - {"settings"}))
def test_every_value_of_the_schema_is_in_values_yaml(path: str) -> None:
    by_choice = ("settingsFromSecrets", "affinity", "requests", "limits")
    for where, given, known in keys(VALUES[path], SCHEMA["properties"][path], path):
        if not where.endswith(by_choice):
            assert given == known, where


def test_values_yaml_has_a_word_on_every_value() -> None:
    """A comment on the line before, or before the first of a group of lines that mean the same thing."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"[A-Za-z]\w*:", line):
            commented = lines[number - 1].startswith("#") or any(
                following.lstrip().startswith("#") for following in lines[number + 1 : number + 3]
            )
            assert commented, line


def leaves(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, one in schema.get("properties", {}).items():
        inner = [*leaves(one, f"{prefix}{name}.")]
        yield from inner or [f"{prefix}{name}"]


def test_every_setting_has_a_way_in(script: ModuleType) -> None:
    raw = Settings.model_json_schema()

    def resolved(node: dict[str, Any]) -> dict[str, Any]:
        return {**raw["$defs"][node["$ref"].rpartition("/")[2]], **node} if "$ref" in node else node

    def all_leaves(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
        for name, one in resolved(node).get("properties", {}).items():
            inner = [*all_leaves(one, f"{prefix}{name}.")]
            yield from inner or [f"{prefix}{name}"]

    plain = set(leaves(SCHEMA["properties"]["settings"]))
    by_reference = set(SCHEMA["properties"]["settingsFromSecrets"]["properties"])
    assert plain | by_reference == set(all_leaves(raw))
    assert set(script.secret_settings()) == by_reference - plain


def test_a_secret_comes_from_a_secret_only(script: ModuleType) -> None:
    assert set(script.secret_settings()) == {
        "database.password",
        "storage.s3.access_key_id",
        "storage.s3.secret_access_key",
        "storage.s3.session_token",
    }


def test_the_list_in_values_yaml_is_yaml_with_the_defaults() -> None:
    """Whoever takes a `#` away gets a setting."""
    text = (CHART / "values.yaml").read_text()
    block = text.partition("  # every setting: begin\n")[2].partition("  # every setting: end\n")[0]
    listed = yaml.safe_load(re.sub(r"^  # ?", "", block, flags=re.M))
    default = Settings().model_dump(mode="json")
    assert listed.keys() == default.keys()
    assert listed["controller"] == default["controller"]
    assert listed["kubernetes"]["profiles"]["NAME"]["cpu"] == 2
    assert (
        listed["pipelines"][0].keys()
        == SCHEMA["properties"]["settings"]["properties"]["pipelines"]["items"]["properties"].keys()
    )


def semver(version: str) -> str:
    """Return a version of the package as SemVer writes it."""
    found = re.fullmatch(r"(\d+\.\d+\.\d+)(?:(a|b|rc)(\d+))?(?:\.dev(\d+))?", version)
    assert found is not None
    words = [f"{found[2]}.{found[3]}" if found[2] else "", f"dev.{found[4]}" if found[4] else ""]
    tail = ".".join(filter(None, words))
    return f"{found[1]}-{tail}" if tail else found[1]


def test_the_chart_has_the_package_s_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__
    assert chart["version"] == semver(__version__)


@pytest.mark.parametrize(
    ("version", "chart"),
    [
        ("0.1.0", "0.1.0"),
        ("0.1.0.dev0", "0.1.0-dev.0"),
        ("0.2.0rc1", "0.2.0-rc.1"),
        ("1.0.0a2.dev3", "1.0.0-a.2.dev.3"),
    ],
)
def test_versions_are_written_as_semver(version: str, chart: str) -> None:
    assert semver(version) == chart
