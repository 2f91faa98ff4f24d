"""Which tasks people mean: a KEY names rows of whichever task table has its attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fmdj_cloud.contracts import Kind
from fmdj_cloud.errors import UsageError
from fmdj_cloud.names import display_key, parse_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.tasks import Tasks


@dataclass(frozen=True)
class Choice:
    """A task that was asked for.

    Attributes
    ----------
    lab : Lab
    tasks : Tasks
        Its task table.
    key : dict
    """

    lab: Lab
    tasks: Tasks
    key: dict[str, Any]


def select_tasks(
    labs: Iterable[Lab], ledger: Ledger, restriction: dict[str, Any], kind: Kind | None = None
) -> list[Choice]:
    """Return the tasks that a KEY names, in whichever task tables have all its attributes.

    Parameters
    ----------
    labs : iterable of Lab
    ledger : Ledger
    restriction : dict
        Attributes, or ``{"run_id": ...}``.
    kind : Kind, optional
        Of the task table; any by default.

    Raises
    ------
    UsageError
        If it names none.
    """
    labs = tuple(labs)
    if "run_id" in restriction:
        return [_of_run(labs, ledger, str(restriction["run_id"]))]
    tables = list(_tables(labs, kind))
    fitting = [(lab, tasks) for lab, tasks in tables if set(restriction) <= set(tasks.table.heading.names)]
    if not fitting:
        raise UsageError(_misfit(restriction, [tasks for _, tasks in tables], kind))
    found = [Choice(lab, tasks, key) for lab, tasks in fitting for key in tasks.select(restriction)]
    if not found:
        raise UsageError(f"No task matches {display_key(restriction) or 'that'}; check the attribute names and values.")
    return found


def _of_run(labs: tuple[Lab, ...], ledger: Ledger, run_id: str) -> Choice:
    run = ledger.run(run_id)
    if run is None:
        raise UsageError(f"There is no run {run_id} in the ledger; `fmdj status` lists them.")
    for lab in labs:
        if lab.name == run.pipeline:
            return Choice(lab, lab.tasks_of(run), parse_key(run.task))
    raise UsageError(f"Run {run.run_id} belongs to pipeline {run.pipeline!r}: choose that, or no pipeline.")


def _tables(labs: tuple[Lab, ...], kind: Kind | None) -> Iterator[tuple[Lab, Tasks]]:
    for lab in labs:
        yield from ((lab, tasks) for tasks in lab.tables if kind in (None, tasks.kind))


def _misfit(restriction: dict[str, Any], tables: list[Tasks], kind: Kind | None) -> str:
    if not tables:
        return f"No pipeline here has {kind} tasks: set its inference_schema in the settings."
    keys = {tasks.name: ", ".join(tasks.table.primary_key) for tasks in tables}
    made = "; ".join(f"a key of {name} is made of {names}" for name, names in keys.items())
    unknown = [name for name in restriction if not any(name in tasks.table.heading.names for tasks in tables)]
    if unknown:
        return f"{' or '.join(keys)} has no attribute {unknown[0]!r}: {made}."
    return f"Neither {' nor '.join(keys)} has all of {', '.join(restriction)}: {made}."
