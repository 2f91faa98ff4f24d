"""Commands that say what people want of tasks: ``retry``, ``cancel``, ``hold``, ``release``, ``priority``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from fmdj_cloud.cli.common import KeyArgument, Output, OutputOption, PipelineOption, console, emit_json, parse_key
from fmdj_cloud.cli.context import Context, open_context
from fmdj_cloud.cli.views import order_table
from fmdj_cloud.contracts import ACCEPTABLE_CHECKS
from fmdj_cloud.control.inspect import select_tasks
from fmdj_cloud.control.ordering import OrderEnd, Ordering, OrderResult, all_tasks, check_acceptable, this_person
from fmdj_cloud.control.orders import Order
from fmdj_cloud.errors import UsageError
from fmdj_cloud.pipeline.lab import Lab

AllOption = Annotated[bool, typer.Option("--all", help="Every task that this can mean anything for.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask, however many tasks match.")]
_SHOWN = 5


def retry(
    key: KeyArgument = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Compute anew even if there are outputs that verify.")
    ] = False,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept",
            metavar="CHECK",
            help=f"Override a check for this task until it is edited: {', '.join(ACCEPTABLE_CHECKS)}.",
            show_default=False,
        ),
    ] = None,
    every: AllOption = False,
    yes: YesOption = False,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Try tasks again that failed, were refused or cancelled, or wait. Outputs that verify are loaded again."""
    check_acceptable(accept or ())
    _order(
        "retry",
        *(key, every, yes, pipeline, output, Order.RETRY),
        lambda ordering, lab, task: ordering.retry(lab, task, recompute=recompute, accept=accept or ()),
    )


def cancel(
    key: KeyArgument = None,
    every: AllOption = False,
    yes: YesOption = False,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Stop tasks for good: they are pending again only when they are retried or edited."""
    _obey(Order.CANCEL, key, every, yes, pipeline, output)


def hold(
    key: KeyArgument = None,
    every: AllOption = False,
    yes: YesOption = False,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Stop tasks until they are released."""
    _obey(Order.HOLD, key, every, yes, pipeline, output)


def release(
    key: KeyArgument = None,
    every: AllOption = False,
    yes: YesOption = False,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Let go of tasks that somebody holds; without KEY, of what the first-start brake holds."""
    if key or every:
        _obey(Order.RELEASE, key, every, yes, pipeline, output)
    else:
        _release_brake(pipeline, output)


def priority(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[KEY] N", help="Tasks, as for the other commands, then the priority: a whole number."),
    ],
    every: AllOption = False,
    yes: YesOption = False,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Set how urgent tasks are: lower is sooner, 0 is usual; write negative numbers after `--`."""
    *key, number = words
    try:
        value = int(number)
    except ValueError:
        raise UsageError(
            f"The priority {number!r} is not a whole number: `fmdj priority recording_id=3 -- -10`."
        ) from None
    if not -(2**31) <= value < 2**31:
        raise UsageError(f"The priority {value} doesn't fit: use something between -1000 and 1000.")
    _order(
        "priority",
        *(key, every, yes, pipeline, output, None),
        lambda ordering, lab, task: ordering.prioritise(lab, task, value),
    )


def _obey(order: Order, key: list[str] | None, every: bool, yes: bool, pipeline: str | None, output: Output) -> None:
    _order(
        order.value,
        *(key, every, yes, pipeline, output, order),
        lambda ordering, lab, task: ordering.obey(order, lab, task),
    )


def _order(
    command: str,
    key: list[str] | None,
    every: bool,
    yes: bool,
    pipeline: str | None,
    output: Output,
    order: Order | None,
    act: Callable[[Ordering, Lab, dict[str, Any]], OrderResult],
) -> None:
    restriction = parse_key(key or [])
    if bool(restriction) is every:
        raise UsageError(
            f"Say which tasks, either by KEY or by --all: `fmdj {command} subject=m1 recording_id=3`."
            if not every
            else "KEY and --all exclude each other: leave one of them out."
        )
    with open_context(pipeline) as context:
        chosen = _choose(context, restriction, order)
        if len(chosen) > 1 and not yes:
            _confirm(command, chosen)
        ordering = Ordering(context.ledger, this_person())
        results = [act(ordering, lab, task) for lab, task in chosen]
    if output is Output.JSON:
        emit_json(results)
    elif results:
        console.print(order_table(results))
    else:
        console.print("There is no such task.")
    if any(result.end is OrderEnd.LOST for result in results):
        raise typer.Exit(1)


def _choose(context: Context, restriction: dict[str, Any], order: Order | None) -> list[tuple[Lab, dict[str, Any]]]:
    if restriction:
        return select_tasks(context.labs, context.ledger, restriction)
    return [(lab, task) for lab in context.labs for task in all_tasks(lab, context.ledger, order)]


def _confirm(command: str, chosen: list[tuple[Lab, dict[str, Any]]]) -> None:
    """Ask a person; a script has to say --yes."""
    if not sys.stdin.isatty():
        raise UsageError(f"That matches {len(chosen)} tasks: add --yes to {command} them all, or give a whole key.")
    for _, task in chosen[:_SHOWN]:
        typer.echo("  " + " ".join(f"{name}={value}" for name, value in task.items()), err=True)
    if len(chosen) > _SHOWN:
        typer.echo(f"  and {len(chosen) - _SHOWN} more", err=True)
    typer.confirm(f"{command} these {len(chosen)} tasks?", abort=True, err=True)


def _release_brake(pipeline: str | None, output: Output) -> None:
    with open_context(pipeline) as context:
        released = {lab.name: context.ledger.release(lab.name) for lab in context.labs}
        pending = {lab.name: lab.tasks.count_pending() for lab in context.labs if released[lab.name]}
    if output is Output.JSON:
        emit_json({name: {"released": done, "pending": pending.get(name)} for name, done in released.items()})
        return
    for name, done in released.items():
        console.print(f"{name}: {pending[name]} pending tasks are released." if done else f"{name}: nothing was held.")
