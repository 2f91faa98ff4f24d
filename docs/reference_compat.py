"""The page of what has been run with what, from compatibility.yaml."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import yaml
from reference_words import cell

SOURCE = Path(__file__).with_name("compatibility.yaml")
_INTRODUCTION = """# Compatibility

Written by `python docs/reference.py` from `docs/compatibility.yaml`.

**yes** names tests that `make test` runs with that combination; "not run" is all that is said of the others, which may
well work. A weekly workflow runs the tests with the newest Facemap, element-facemap and DataJoint, and one on a cluster
made by kind with MySQL 8.4; what they say is in their logs, not here.
"""


def compatibility_page() -> str:
    """Return docs/compatibility.md."""
    lines = [_INTRODUCTION]
    for table in yaml.safe_load(SOURCE.read_text("utf-8"))["tables"]:
        lines += _table(table)
    return "\n".join(lines).rstrip() + "\n"


def _table(table: dict[str, Any]) -> list[str]:
    ((column, across),) = table["columns"].items()
    down = list(table["rows"])
    shown = {frozenset((k, str(v)) for k, v in one["when"].items()): one["tests"] for one in table["cells"]}
    lines = [f"## {table['title']}", "", cell(table["what"]), ""]
    lines += [
        f"| {' | '.join(down)} | {' | '.join(str(one) for one in across)} |",
        f"|{' --- |' * (len(down) + len(across))}",
    ]
    known = set()
    for row in itertools.product(*table["rows"].values()):
        cells = []
        for one in across:
            key = frozenset((name, str(value)) for name, value in [*zip(down, row, strict=True), (column, one)])
            known.add(key)
            cells.append(_yes(shown[key]) if key in shown else "not run")
        lines.append(f"| {' | '.join(str(value) for value in row)} | {' | '.join(cells)} |")
    strange = shown.keys() - known
    if strange:
        raise SystemExit(f"docs/compatibility.yaml: {table['title']!r} has no cell {dict(next(iter(strange)))}.")
    return [*lines, ""]


def _yes(tests: list[str]) -> str:
    links = [f"[{number}](../{test.partition('::')[0]})" for number, test in enumerate(tests, 1)]
    return f"**yes** {' '.join(links)}"
