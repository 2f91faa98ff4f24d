"""``fmdj audit``."""

from __future__ import annotations

import datetime as dt
import json
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Annotated, Self

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
    kind_of,
    parse_key,
)
from fmdj_cloud.cli.context import open_context
from fmdj_cloud.cli.views import escape
from fmdj_cloud.control.choose import select_tasks
from fmdj_cloud.errors import UsageError
from fmdj_cloud.printable import printable_json

_STYLES = {Certainty.CERTAIN: "red", Certainty.LIKELY: "yellow", Certainty.POSSIBLE: "dim"}
_WORD = max(map(len, Certainty))


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
        mending = Mending(yes, renumber, kept.absolute()) if repair else None
        choices = with_results(select_tasks(context.labs, context.ledger, parse_key(key or []), kind_of(kind)))
        with _Told(output) as told:
            for choice in choices:
                told.tell(audit_result(choice, files, mending, dt.datetime.now(dt.UTC)))
    if told.faulty:
        raise typer.Exit(1)


class _Told:
    """Says what is found as it comes: an audit of a whole lab takes long.

    Attributes
    ----------
    faulty : bool
        Whether a fault that is certain or likely is left.
    """

    def __init__(self, output: Output) -> None:
        self._json = output is Output.JSON
        self._counts: Counter[str] = Counter()
        self._alone = 0
        self.faulty = False

    def __enter__(self) -> Self:
        if self._json:
            sys.stdout.write("[")
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if self._json:  # whole, however it ended: what was found is told
            sys.stdout.write("\n]\n" if self._counts.total() else "]\n")
        elif error is None:
            self._sum_up()

    def tell(self, report: KeyReport) -> None:
        """Say what is said of one result."""
        if self._json:
            data = printable_json(json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False))
            sys.stdout.write((",\n" if self._counts.total() else "\n") + textwrap.indent(data, "  "))
            sys.stdout.flush()
        else:
            _show(report)
        found = "faulty" if report.faulty else "doubtful" if report.findings else "sound"
        self._counts["mended" if report.repaired else found] += 1
        self._alone += report.against == "themselves"
        self.faulty |= report.faulty

    def _sum_up(self) -> None:
        words = ("sound", "doubtful", "faulty", "mended")
        said = ", ".join(f"{self._counts[word]} {word}" for word in words if self._counts[word])
        console.print(
            f"{self._counts.total()} results: {said or 'none'}; {self._alone} of them have no files to compare with."
        )


def _show(report: KeyReport) -> None:
    if not (report.findings or report.kept):
        return
    console.print(f"[bold]{escape(f'{report.table} {report.task}')}[/]")
    for finding in report.findings:
        mended = report.kept and finding not in report.left
        sure = f"[{_STYLES[finding.certainty]}]{finding.certainty.value:<{_WORD}}[/]"
        console.print(f"  {sure}  {escape(finding.sentence)}")
        console.print(f"  {'':<{_WORD}}  {'Mended.' if mended else escape(finding.remedy)}")
    if report.note:
        console.print(f"  {escape(report.note)}")
    if report.kept:
        console.print(f"  {escape(f'What was replaced is in {report.kept}.')}")
