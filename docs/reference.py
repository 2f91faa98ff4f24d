"""Write the reference pages that come from the code: ``python docs/reference.py`` (``--check`` only compares)."""

from __future__ import annotations

import re
import sys
import textwrap
import typing
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from reference_chart import chart_page
from reference_compat import compatibility_page
from reference_contracts import contracts_page
from reference_tables import tables_page
from reference_words import bounds, type_name
from typer.cli import get_docs_for_click

from fmdj_cloud import signals_h5, telemetry
from fmdj_cloud.cli.app import app
from fmdj_cloud.contracts import FailureClass
from fmdj_cloud.control.advice import ADVICE
from fmdj_cloud.control.diagnose import ProcessEnd, diagnose
from fmdj_cloud.control.launchers.kubernetes.cases import SIGNS
from fmdj_cloud.settings import RetrySettings, Settings

HERE = Path(__file__).parent


def _sections(annotation: Any) -> list[type[BaseModel]]:
    inner = typing.get_args(annotation) if not isinstance(annotation, type) else (annotation,)
    return [a for a in inner if isinstance(a, type) and issubclass(a, BaseModel)]


def _table(model: type[BaseModel], path: str, lines: list[str]) -> None:
    head = [f"## `{path}`" if path else "## Top level", "", (model.__doc__ or "").strip().splitlines()[0], ""]
    head += ["| setting | default | type | what and why |", "| --- | --- | --- | --- |"]
    rows: list[str] = []
    nested: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        sections = _sections(field.annotation)
        if sections:
            many = "" if field.annotation is sections[0] else "[]"
            nested.append((f"{path}.{name}{many}".lstrip("."), sections[0]))
            continue
        default = field.get_default(call_default_factory=True)
        shown = (
            "required" if default is PydanticUndefined else "empty" if default in (None, "", (), {}) else f"`{default}`"
        )
        kind = ", ".join(filter(None, (type_name(field.annotation), bounds(field.metadata))))
        kind = kind.replace("|", r"\|")
        rows.append(f"| `{name}` | {shown} | {kind} | {field.description} |")
    if rows:
        lines += [*head, *rows, ""]
    for nested_path, section in nested:
        _table(section, nested_path, lines)


def settings_page() -> str:
    """Return docs/settings.md."""
    lines = ["# Settings", "", "Written by `python docs/reference.py` from `fmdj_cloud/settings.py`.", ""]
    module = sys.modules[Settings.__module__].__doc__ or ""
    lines += [module.strip().partition("\n")[2].strip().replace("``", "`"), ""]
    _table(Settings, "", lines)
    return "\n".join(lines).rstrip() + "\n"


def cli_page() -> str:
    """Return docs/cli.md."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="fmdj")
    text = get_docs_for_click(obj=command, ctx=context, name="fmdj", title="Command line")
    return text.rstrip() + "\n"


def signals_page() -> str:
    """Return docs/signals_h5.md."""
    text = (signals_h5.__doc__ or "").replace("``", "`").replace("::\n", ":\n")
    title, _, body = text.partition("\n")
    body = re.sub(
        r"^((?:    .*\n)(?:    .*\n|\n)*)", lambda found: f"\n```\n{_dedent(found[1])}\n```\n\n", body, flags=re.M
    )
    source = "Written by `python docs/reference.py` from `fmdj_cloud/signals_h5/__init__.py`."
    return f"# {title.strip()}\n\n{source}\n{body.rstrip()}\n"


def metrics_page() -> str:
    """Return docs/metrics.md."""
    lines = ["# Metrics", "", "Written by `python docs/reference.py` from `fmdj_cloud/telemetry.py`.", ""]
    lines += [
        "Controller and loader show them under `/metrics` on `serve.port`, beside `process_*` of Prometheus' client.",
        "The controller's are of the whole installation; only the one that leads shows them.",
        "",
        "| metric | kind | labels | what |",
        "| --- | --- | --- | --- |",
    ]
    for name, kind, labels, what in telemetry.DESCRIBED:
        lines.append(f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {what} |")
    return "\n".join(lines) + "\n"


def _exit_codes() -> str:
    """Return the worker's exit codes by what they mean."""
    runs: dict[str, list[list[int]]] = {}
    for code in range(256):
        failure = diagnose(ProcessEnd(exit_code=code), None).failure_class
        if failure not in (None, FailureClass.CRASH):
            known = runs.setdefault(str(failure), [])
            known[-1].append(code) if known and known[-1][-1] == code - 1 else known.append([code])
    found = [
        f"{', '.join(f'{run[0]}-{run[-1]}' if len(run) > 1 else str(run[0]) for run in known)} `{failure}`"
        for failure, known in runs.items()
    ]
    return f"0 done; {'; '.join(found)}; anything else `crash`"


def failures_page() -> str:
    """Return docs/failures.md."""
    retries = RetrySettings()
    source = "`fmdj_cloud/control/launchers/kubernetes/cases.py` and `fmdj_cloud/settings/controller.py`"
    lines = ["# Failures", "", f"Written by `python docs/reference.py` from {source}.", ""]
    lines += [
        "Every attempt that fails has a class, a sentence and evidence: `fmdj explain KEY` shows them. The class",
        "decides what happens; the numbers are defaults, under `controller.retry`.",
        "",
        "| class | tried again | what you can do once it is final |",
        "| --- | --- | --- |",
    ]
    for failure in FailureClass:
        bound = getattr(retries, failure.value, None)
        again = "no" if bound is None else "once" if bound == 1 else f"{bound} times"
        lines.append(f"| `{failure}` | {again} | {ADVICE[failure]} |")
    lines += [
        "",
        "`memory` and `disk` get more each time, `budget` double the time, `changed` a new plan; what was `disrupted`",
        "goes to machines that stay after `spot.disruptions` of its profile. A valid manifest beats every diagnosis:",
        "then the attempt has published, whatever became of its Job.",
        "",
        f"The worker's exit codes: {_exit_codes()}.",
        "",
        "## On Kubernetes",
        "",
        "What is recognised, and by what. The case is kept in the evidence, with exit code, reason, message,",
        "container, Pod and node. What the worker itself said counts, unless its machine's end explains it better; a",
        "container's reason beats its Pod's; a Job whose Pod may still run is never over. What can't start is given up",
        "after a time that settings say: its Job is deleted, and the attempt ends when its Pods are over, so none",
        "starts after that.",
        "",
        "| case | class | seen as |",
        "| --- | --- | --- |",
    ]
    told = {case: f"`{sign.failure}`" for case, sign in SIGNS.items() if sign.failure is not None}
    told |= {case: "by the exit code" for case in SIGNS if case.value in ("done", "worker-exit")}
    lines += [f"| `{case}` | {told[case]} | {sign.seen} |" for case, sign in SIGNS.items() if case in told]
    lines += [
        "",
        "## What is waited for",
        "",
        "None of these is a failure. `fmdj status` shows the first ones as queued, with the reason in words.",
        "",
        "| case | seen as |",
        "| --- | --- |",
        *(f"| `{case}` | {sign.seen} |" for case, sign in SIGNS.items() if case not in told),
    ]
    return "\n".join(lines) + "\n"


def _dedent(block: str) -> str:
    return textwrap.dedent(block).strip("\n")


PAGES = {
    "settings.md": settings_page,
    "cli.md": cli_page,
    "signals_h5.md": signals_page,
    "metrics.md": metrics_page,
    "failures.md": failures_page,
    "tables.md": tables_page,
    "contracts.md": contracts_page,
    "chart.md": chart_page,
    "compatibility.md": compatibility_page,
}


def main() -> int:
    """Write the pages, or compare them with what is there."""
    stale = []
    for name, page in PAGES.items():
        path, text = HERE / name, page()
        if "--check" in sys.argv:
            if not path.exists() or path.read_text("utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, "utf-8")
    if stale:
        sys.stderr.write(f"docs/{', docs/'.join(stale)} differ from the code: run `python docs/reference.py`.\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
