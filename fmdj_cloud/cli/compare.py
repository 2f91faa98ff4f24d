"""``fmdj compare``: both engines on a task, signal by signal."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from fmdj_cloud.cli.common import KeyArgument, Output, OutputOption, PipelineOption, console, emit_json, parse_key
from fmdj_cloud.cli.context import Context, open_context
from fmdj_cloud.cli.views import escape
from fmdj_cloud.contracts import Basis, Engine, Kind, RunSpec, TaskRecord
from fmdj_cloud.control.choose import Choice, select_tasks
from fmdj_cloud.control.plan import plan_task
from fmdj_cloud.errors import UsageError
from fmdj_cloud.names import canonical_key, display_key
from fmdj_cloud.worker.stop import Stop
from fmdj_cloud.worker.versus import Versus, versus


def compare(
    key: KeyArgument = None,
    pipeline: PipelineOption = None,
    basis: Annotated[
        Basis, typer.Option("--basis", help="Basis of the engine turbo; `facemap` is Facemap's, for comparison.")
    ] = Basis.EXACT,
    output: OutputOption = Output.TABLE,
) -> None:
    """Compute a task with both engines on this machine, and show how their signals differ. Nothing is written."""
    restriction = parse_key(key or [])
    if not restriction:
        raise UsageError("Say which task: `fmdj compare subject=m1 recording_id=3`.")
    with open_context(pipeline) as context:
        chosen = select_tasks(context.labs, context.ledger, restriction, Kind.SVD)
        if len(chosen) > 1:
            raise UsageError(f"{len(chosen)} tasks match, and engines are compared on one: say more of its key.")
        if chosen[0].tasks.kind is not Kind.SVD:
            raise UsageError("That is a task of pose inference, which has one engine: name one of FacemapTask.")
        task = chosen[0].tasks.get(chosen[0].key)
        if task is None:
            raise UsageError(f"{display_key(chosen[0].key)} is gone: somebody deleted it just now.")
        store, scratch = context.store, context.settings.worker.scratch_dir
        specs = {engine: spec_of(context, chosen[0], task, engine, basis) for engine in (Engine.FACEMAP, Engine.TURBO)}
    stop = Stop()
    with stop.on_signals(lambda: None):
        found = versus(store, specs, scratch, stop)
    if output is Output.JSON:
        emit_json(found)
        return
    console.print(_table(found))
    for engine, warnings in found.warnings.items():
        for warning in warnings:
            console.print(f"{engine}: {escape(warning)}")


def spec_of(context: Context, choice: Choice, task: TaskRecord, engine: Engine, basis: Basis) -> RunSpec:
    """Return what an engine is to compute: the task as it would be launched, with the checks accepted for it."""
    if task.mode == "load":
        task = task.model_copy(update={"mode": "trigger"})  # what it would be if it were computed
    planned = plan_task(task, choice.lab.settings, context.store, context.settings, engine=engine, basis=basis)
    plan = planned.plan
    return RunSpec(
        run_id=planned.run_id,
        kind=Kind.SVD,
        pipeline=choice.lab.name,
        task=canonical_key(task.key),
        task_digest=task.task_digest,
        content_digest=planned.content_digest,
        attempt=1,
        attempt_uri=planned.output_dir_uri,
        videos=plan.videos,
        engine=plan.engine,
        svd=plan.svd,
        limits=plan.limits,
        accept=context.ledger.accepted(task),
        basis=plan.basis,
    )


def _table(found: Versus) -> Table:
    seconds = ", ".join(f"{engine} {took:.1f} s" for engine, took in found.seconds.items())
    table = Table(title=f"turbo compared with Facemap ({seconds})", title_justify="left")
    for column in ("region", "signal", "measure"):
        table.add_column(column)
    table.add_column("value", justify="right")
    for one in found.differences:
        value = "-" if one.value is None else f"{one.value:.6g}"
        table.add_row(escape(one.region or "recording"), one.signal, one.measure, value)
    return table
