"""Commands that say what people want of tasks: ``retry``, ``cancel``, ``hold``, ``release``, ``priority``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from fmdj_cloud.cli.common import (
    KeyArgument,
    KindOption,
    Output,
    OutputOption,
    PipelineOption,
    TaskKind,
    console,
    emit_json,
    kind_of,
    parse_key,
)
from fmdj_cloud.cli.context import open_context
from fmdj_cloud.cli.views import order_table
from fmdj_cloud.contracts import ACCEPTABLE_CHECKS
from fmdj_cloud.control.choose import Choice, select_tasks
from fmdj_cloud.control.ordering import OrderEnd, Ordering, OrderResult, all_tasks, check_acceptable, this_person
from fmdj_cloud.control.orders import Order
from fmdj_cloud.errors import UsageError

AllOption = Annotated[bool, typer.Option("--all", help="Every task that this can mean anything for.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask, however many tasks match.")]
_SHOWN = 5


@dataclass(frozen=True)
class _Which:
    """What all these commands are told beside what they do."""

    key: Sequence[str] | None
    every: bool
    yes: bool
    kind: TaskKind | None
    pipeline: str | None
    output: Output


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
    kind: KindOption = None,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Try tasks again that failed, were refused or cancelled, or wait. Outputs that verify are loaded again."""
    check_acceptable(accept or ())
    _order(
        "retry",
        _Which(key, every, yes, kind, pipeline, output),
        Order.RETRY,
        lambda ordering, choice: ordering.retry(choice, recompute=recompute, accept=accept or ()),
    )


def cancel(
    key: KeyArgument = None,
    every: AllOption = False,
    yes: YesOption = False,
    kind: KindOption = None,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Stop tasks for good: they are pending again only when they are retried or edited."""
    _obey(Order.CANCEL, _Which(key, every, yes, kind, pipeline, output))


def hold(
    key: KeyArgument = None,
    every: AllOption = False,
    yes: YesOption = False,
    kind: KindOption = None,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Stop tasks until they are released."""
    _obey(Order.HOLD, _Which(key, every, yes, kind, pipeline, output))


def release(
    key: KeyArgument = None,
    every: AllOption = False,
    yes: YesOption = False,
    kind: KindOption = None,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Let go of tasks that somebody holds; without KEY, of what the first-start brake holds."""
    if key or every:
        _obey(Order.RELEASE, _Which(key, every, yes, kind, pipeline, output))
    else:
        _release_brake(pipeline, output)


def priority(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[KEY] N", help="Tasks, as for the other commands, then the priority: a whole number."),
    ],
    every: AllOption = False,
    yes: YesOption = False,
    kind: KindOption = None,
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
        _Which(key, every, yes, kind, pipeline, output),
        None,
        lambda ordering, choice: ordering.prioritise(choice, value),
    )


def _obey(order: Order, which: _Which) -> None:
    _order(order.value, which, order, lambda ordering, choice: ordering.obey(order, choice))


def _order(command: str, which: _Which, order: Order | None, act: Callable[[Ordering, Choice], OrderResult]) -> None:
    restriction = parse_key(which.key or [])
    if bool(restriction) is which.every:
        raise UsageError(
            f"Say which tasks, either by KEY or by --all: `fmdj {command} subject=m1 recording_id=3`."
            if not which.every
            else "KEY and --all exclude each other: leave one of them out."
        )
    kind = kind_of(which.kind)
    with open_context(which.pipeline) as context:
        if restriction:
            chosen = select_tasks(context.labs, context.ledger, restriction, kind)
        else:
            chosen = [choice for lab in context.labs for choice in all_tasks(lab, context.ledger, order, kind)]
        if len(chosen) > 1 and not which.yes:
            _confirm(command, chosen)
        ordering = Ordering(context.ledger, this_person())
        results = [act(ordering, choice) for choice in chosen]
    if which.output is Output.JSON:
        emit_json(results)
    elif results:
        console.print(order_table(results))
    else:
        console.print("There is no such task.")
    if any(result.end is OrderEnd.LOST for result in results):
        raise typer.Exit(1)


def _confirm(command: str, chosen: Sequence[Choice]) -> None:
    """Ask a person; a script has to say --yes."""
    if not sys.stdin.isatty():
        raise UsageError(f"That matches {len(chosen)} tasks: add --yes to {command} them all, or give a whole key.")
    for choice in chosen[:_SHOWN]:
        typer.echo("  " + " ".join(f"{name}={value}" for name, value in choice.key.items()), err=True)
    if len(chosen) > _SHOWN:
        typer.echo(f"  and {len(chosen) - _SHOWN} more", err=True)
    typer.confirm(f"{command} these {len(chosen)} tasks?", abort=True, err=True)


def _release_brake(pipeline: str | None, output: Output) -> None:
    with open_context(pipeline) as context:
        released = {lab.name: context.ledger.release(lab.name) for lab in context.labs}
        pending = {lab.name: lab.count_pending() for lab in context.labs if released[lab.name]}
    if output is Output.JSON:
        emit_json({name: {"released": done, "pending": pending.get(name)} for name, done in released.items()})
        return
    for name, done in released.items():
        console.print(f"{name}: {pending[name]} pending tasks are released." if done else f"{name}: nothing was held.")
