"""``fmdj bug-report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from fmdj_cloud.cli.bars import steps
from fmdj_cloud.cli.common import KeyArgument, KindOption, PipelineOption, kind_of, parse_key, settings_with_logs
from fmdj_cloud.cli.context import open_context
from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.choose import select_tasks
from fmdj_cloud.control.doctor import diagnose_installation
from fmdj_cloud.control.finding import Finding
from fmdj_cloud.errors import FmdjError, UsageError
from fmdj_cloud.settings import Settings
from fmdj_cloud.trouble.blame import Blame
from fmdj_cloud.trouble.gather import gather_report

_STDOUT = "-"


def bug_report(
    key: KeyArgument = None,
    to: Annotated[
        str, typer.Option("--to", metavar="FILE", help="Markdown; `-` is standard output.")
    ] = "fmdj-bug-report.md",
    attempt: Annotated[
        int | None, typer.Option("--attempt", "-a", min=1, help="The newest by default.", show_default=False)
    ] = None,
    kind: KindOption = None,
    pipeline: PipelineOption = None,
) -> None:
    """Gather what an issue needs into one file, and say which of the three projects it is for, and why.

    Versions, settings, doctor's verdicts; of a task its run, attempts, spec, manifest, checks and the end of its log.
    Paths and host names stay, secrets don't: read it before you send it.
    """
    restriction = parse_key(key or [])
    settings = settings_with_logs()
    findings: list[Finding] = []
    with steps("Checking") as step:
        for finding in diagnose_installation(settings):
            step(finding.check)
            findings.append(finding)
    text, blame = _gather(settings, findings, restriction, kind_of(kind), pipeline, attempt)
    if to == _STDOUT:
        sys.stdout.write(text)
    else:
        try:
            Path(to).write_text(text, "utf-8")
        except OSError as error:
            raise UsageError(f"{to} can't be written: {error.strerror}.") from error
    said = Console(stderr=True, soft_wrap=True)
    where = "" if to == _STDOUT else f"{to} is written: read it, then open an issue. "
    said.print(f"{where}It is for {blame.project.value}: {blame.issues}\n{blame.why}", markup=False, highlight=False)


def _gather(
    settings: Settings,
    findings: list[Finding],
    restriction: dict[str, Any],
    kind: Kind | None,
    pipeline: str | None,
    attempt: int | None,
) -> tuple[str, Blame]:
    """Gather what can be had: where the database is the trouble, the report is about that."""
    if not restriction:
        return gather_report(settings, findings, None, None, None)
    try:
        with open_context(pipeline) as context:
            found = select_tasks(context.labs, context.ledger, restriction, kind)
            if len(found) > 1:
                raise UsageError(f"That matches {len(found)} tasks; a report is about one: give its key or a run id.")
            return gather_report(settings, findings, found[0], context.ledger, context.store, attempt=attempt)
    except UsageError:
        raise
    except FmdjError as error:
        return gather_report(
            settings, findings, None, None, None, problem=f"The task can't be looked at: {error.sentence}"
        )
