"""``fmdj audit``."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fmdj_cloud.audit.files import Files
from fmdj_cloud.audit.findings import Certainty, KeyReport
from fmdj_cloud.audit.look import Mending, audit_result, with_results
from fmdj_cloud.cli.common import (
    KeyArgument,
    KindOption,
    Output,
    OutputOption,
    PipelineOption,
    console,
    emit_json,
    kind_of,
    make_table,
    parse_key,
)
from fmdj_cloud.cli.context import open_context
from fmdj_cloud.cli.views import escape
from fmdj_cloud.control.choose import select_tasks
from fmdj_cloud.errors import UsageError

_STYLES = {Certainty.CERTAIN: "red", Certainty.LIKELY: "yellow", Certainty.POSSIBLE: "dim"}
_MIB = 1 << 20


def audit(
    key: KeyArgument = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Say what would be reloaded from files; with --yes, do it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --repair: replace the rows.")] = False,
    renumber: Annotated[
        bool, typer.Option("--renumber", help="With --repair: number regions as element-facemap 0.3.0 does, too.")
    ] = False,
    kept: Annotated[
        Path, typer.Option("--keep", metavar="FOLDER", help="Where --repair keeps what it replaces.")
    ] = Path("fmdj-replaced"),
    kind: KindOption = None,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Look for faults in results that are in the database already, against their files or against themselves.

    Without KEY, all results are looked at. Exit code 1 if a fault that is certain or likely is left.
    """
    if (yes or renumber) and not repair:
        raise UsageError("--yes and --renumber go with --repair: add it.")
    with open_context(pipeline) as context:
        files = Files(context.settings, context.ledger, context.store)
        slice_bytes = int(context.settings.load.slice_mib) * _MIB
        mending = Mending(yes, renumber, kept.absolute(), slice_bytes) if repair else None
        reports = [
            audit_result(choice, files, mending, dt.datetime.now(dt.UTC))
            for choice in with_results(select_tasks(context.labs, context.ledger, parse_key(key or []), kind_of(kind)))
        ]
    if output is Output.JSON:
        emit_json(reports)
    else:
        _show(reports)
    if any(
        finding.certainty is not Certainty.POSSIBLE
        for report in reports
        if not report.repaired
        for finding in report.findings
        if finding.check != "numbering"
    ):
        raise typer.Exit(1)


def _show(reports: Sequence[KeyReport]) -> None:
    table = make_table(None, "result", "", "what", "what to do")
    for report in reports:
        name = escape(f"{report.table} {report.task}")
        for finding in report.findings:
            sure = f"[{_STYLES[finding.certainty]}]{finding.certainty.value}[/]"
            table.add_row(name, sure, escape(finding.sentence), "mended" if report.repaired else escape(finding.remedy))
            name = ""
        if report.note and (report.findings or report.kept):
            table.add_row(name, "", escape(report.note), "")
        if report.kept:
            table.add_row("", "", escape(f"What was replaced is in {report.kept}."), "")
    if table.row_count:
        console.print(table)
    counts = Counter("mended" if report.repaired else "faulty" if report.findings else "sound" for report in reports)
    alone = sum(report.against == "themselves" for report in reports)
    said = ", ".join(f"{counts[word]} {word}" for word in ("sound", "faulty", "mended") if counts[word]) or "none"
    console.print(f"{len(reports)} results: {said}; {alone} of them have no files to compare with.")
