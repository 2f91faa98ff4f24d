"""The page of the chart's values, from values.yaml and its schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from reference_words import cell

CHART = Path(__file__).parents[1] / "helm" / "fmdj-cloud"
_KEY = re.compile(r"(?P<indent> *)(?P<name>[A-Za-z]\w*):(?: (?P<value>.*))?$")
_INTRODUCTION = """# Values of the chart

Written by `python docs/reference.py` from `helm/fmdj-cloud/values.yaml` and its schema.

A name that isn't here is refused by Helm, and so is a value that doesn't fit its type: `helm lint` says which. Whole
values files are in [`helm/fmdj-cloud/examples/`](../helm/fmdj-cloud/examples/); [Install](install.md) goes through one.
"""


def chart_page() -> str:
    """Return docs/chart.md."""
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    lines = [_INTRODUCTION]
    path: list[str] = []
    comment: list[str] = []
    for line in (CHART / "values.yaml").read_text("utf-8").splitlines():
        text = line.strip()
        if text.startswith("#"):
            comment.append(text.removeprefix("#").strip())
            continue
        found = _KEY.match(line)
        if found is None:
            comment = []
            continue
        path = [*path[: len(found["indent"]) // 2], found["name"]]
        said, comment, value = cell(" ".join(comment)), [], found["value"] or ""
        if path[0] == "settings":
            if path == ["settings"]:
                lines += ["", "## `settings`", "", _settings(said), ""]
            continue
        if len(path) == 1:
            lines += ["", f"## `{path[0]}`", ""] + ([said, ""] if said and not value else [])
            lines += ["| value | default | type | what |", "| --- | --- | --- | --- |"]
        if value:
            node = _at(schema, path)
            kind = _kind(node)
            lines.append(f"| `{'.'.join(path)}` | `{cell(value)}` | {kind} | {said} |")
        elif len(path) > 1 and said:
            lines.append(f"| `{'.'.join(path)}` | | | {said} |")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _settings(said: str) -> str:
    return f"{said.partition(' every setting: begin')[0]} All of them: [settings](settings.md)."


def _at(schema: dict[str, Any], path: list[str]) -> dict[str, Any]:
    node = schema
    for name in path:
        node = node.get("properties", {}).get(name) or {}
    return node


def _kind(node: dict[str, Any]) -> str:
    if "enum" in node:
        return " or ".join(f"`{one}`" if one else "empty" for one in node["enum"])
    kinds = node.get("type", "")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
