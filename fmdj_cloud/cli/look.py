"""Commands that look and change nothing: ``plan``, ``status``, ``explain``, ``logs``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fmdj_cloud.cli.common import (
    KeyArgument,
    KindOption,
    Output,
    OutputOption,
    PipelineOption,
    console,
    emit_json,
    kind_of,
    parse_key,
)
from fmdj_cloud.cli.context import open_context
from fmdj_cloud.cli.fleet import show_fleet
from fmdj_cloud.cli.views import NO_CONTROLLER, explanation_table, plan_tables, status_tables
from fmdj_cloud.cli.watch import watch_status
from fmdj_cloud.contracts import RunState
from fmdj_cloud.control.choose import select_tasks
from fmdj_cloud.control.explain import explain as explain_observation
from fmdj_cloud.control.fleet.file import example
from fmdj_cloud.control.inspect import observe_task, preview, read_logs
from fmdj_cloud.control.status import StatusReport, gather_status
from fmdj_cloud.errors import UsageError
from fmdj_cloud.printable import printable

LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows shown at most.")]


def plan(
    key: KeyArgument = None,
    kind: KindOption = None,
    pipeline: PipelineOption = None,
    limit: LimitOption = 50,
    fleet: Annotated[
        Path | None,
        typer.Option(
            "--fleet",
            metavar="FILE",
            help="Instead: how long and how much for the recordings and nodes that this file names. Nothing is asked "
            "of a database.",
            show_default=False,
        ),
    ] = None,
    fleet_example: Annotated[
        bool, typer.Option("--fleet-example", help="Print a file for --fleet, with comments, and end.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what pending tasks would become: run, frames, time, memory. Nothing is written."""
    if fleet_example:
        sys.stdout.write(example())
        return
    if fleet is not None:
        if key or kind is not None or pipeline is not None:
            raise UsageError("--fleet is about recordings of its file, not of a pipeline: leave out KEY, -k and -p.")
        show_fleet(fleet, output)
        return
    restriction = parse_key(key or [])
    with open_context(pipeline) as context:
        chosen = select_tasks(context.labs, context.ledger, restriction, kind_of(kind)) if restriction else None
        reports = {}
        for lab in context.labs:
            mine = None if chosen is None else [choice for choice in chosen if choice.lab is lab]
            if mine is None or mine:
                reports[lab.name] = preview(
                    lab, context.ledger, context.store, context.settings, mine, limit, kind=kind_of(kind)
                )
    if output is Output.JSON:
        emit_json({name: report.model_dump(mode="json") for name, report in reports.items()})
        return
    for name, report in reports.items():
        for table in plan_tables(name, report):
            console.print(table)


def status(
    pipeline: PipelineOption = None,
    state: Annotated[
        list[RunState] | None, typer.Option("--state", "-s", help="Only runs in this state.", show_default=False)
    ] = None,
    limit: LimitOption = 50,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Go on until interrupted; a line per change where there is no terminal."),
    ] = False,
    interval: Annotated[
        float, typer.Option("--interval", min=0.1, metavar="SECONDS", help="Pause between two looks of --watch.")
    ] = 2.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show pipelines, runs with their progress, and tasks that wait, were refused, held or cancelled."""
    if watch and output is Output.JSON:
        raise UsageError("--watch shows a table: leave out `--output json`, or ask for the JSON again and again.")
    with open_context(pipeline) as context:
        states = frozenset(state) if state else None

        def gather() -> StatusReport:
            context.ledger.database.ensure_connected()
            return gather_status(context.ledger, context.labs, context.store, states=states, limit=limit)

        if watch:
            watch_status(gather, console, interval)
        report = gather()
    if output is Output.JSON:
        emit_json(report)
        return
    for table in status_tables(report):
        console.print(table)
        console.print()
    if report.leader is None:
        console.print(NO_CONTROLLER)


def explain(
    key: KeyArgument = None,
    kind: KindOption = None,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say why a task is not done, and what to do."""
    restriction = parse_key(key or [])
    if not restriction:
        raise UsageError("Say which task: `fmdj explain subject=m1 recording_id=3`.")
    with open_context(pipeline) as context:
        silent_s = context.settings.controller.populate_silent_s
        explanations = [
            explain_observation(observe_task(choice, context.ledger, context.store, silent_s))
            for choice in select_tasks(context.labs, context.ledger, restriction, kind_of(kind))
        ]
    if output is Output.JSON:
        emit_json(explanations)
        return
    for number, explanation in enumerate(explanations):
        if number:
            console.print()
        console.print(explanation_table(explanation))


def logs(
    key: KeyArgument = None,
    kind: KindOption = None,
    pipeline: PipelineOption = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", "-a", min=1, help="The newest by default.", show_default=False)
    ] = None,
) -> None:
    """Print the log of a task's newest attempt."""
    restriction = parse_key(key or [])
    if not restriction:
        raise UsageError("Say which task: `fmdj logs subject=m1 recording_id=3`.")
    with open_context(pipeline) as context:
        found = select_tasks(context.labs, context.ledger, restriction, kind_of(kind))
        if len(found) > 1:
            raise UsageError(f"That matches {len(found)} tasks; a log belongs to one: give its whole key or a run id.")
        sys.stdout.write(printable(read_logs(found[0], context.ledger, context.store, attempt), keep="\n\t"))
