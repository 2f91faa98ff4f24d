"""``fmdj doctor``."""

from __future__ import annotations

import typer

from fmdj_cloud.cli.common import Output, OutputOption, console, emit_json, make_table, settings_with_logs
from fmdj_cloud.cli.views import escape
from fmdj_cloud.control.doctor import diagnose_installation
from fmdj_cloud.control.finding import Verdict

_STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red", Verdict.NOT_APPLICABLE: "dim"}


def doctor(output: OutputOption = Output.TABLE) -> None:
    """Check settings, packages, database, rights, ledger, pipelines and buckets: a verdict and a remedy for each.

    Exit code 1 if anything fails.
    """
    findings = list(diagnose_installation(settings_with_logs()))
    if output is Output.JSON:
        emit_json(findings)
    else:
        table = make_table(None, "check", "verdict", "found", "remedy")
        for finding in findings:
            verdict = f"[{_STYLES[finding.verdict]}]{finding.verdict.value}[/]"
            table.add_row(finding.check, verdict, escape(finding.found), escape(finding.remedy))
        console.print(table)
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        raise typer.Exit(1)
