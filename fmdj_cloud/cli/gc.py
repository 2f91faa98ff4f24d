"""``fmdj gc``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from fmdj_cloud.cli.common import Output, OutputOption, console, emit_json, make_table
from fmdj_cloud.cli.context import open_context
from fmdj_cloud.cli.views import escape
from fmdj_cloud.control.backends import open_launcher
from fmdj_cloud.control.gc.facts import Leftover
from fmdj_cloud.control.gc.run import housekeep
from fmdj_cloud.control.words import duration_text


def gc(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete it; by default it is only shown.")] = False,
    jobs: Annotated[
        bool, typer.Option("--jobs/--no-jobs", help="Also look for Jobs whose run the ledger doesn't know.")
    ] = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what attempts have left and nobody needs any more; with --yes, delete it.

    Settings `gc` say how long things are kept. Inputs, loaded outputs and whatever a task, a manifest or a run that is
    under way refers to are never touched. Controllers and loaders may run meanwhile; killed, it is just run again.
    """
    with open_context(None) as context:
        now = context.ledger.database.now()
        parts = (context.settings, context.ledger, context.labs, context.store)
        if jobs:
            with open_launcher(context.settings) as launcher:
                lines = housekeep(*parts, launcher, now=now, delete=yes)
        else:
            lines = housekeep(*parts, None, now=now, delete=yes)
    if output is Output.JSON:
        emit_json(lines)
        return
    _show(lines, yes)


def _show(lines: Sequence[Leftover], deleted: bool) -> None:
    goes = [line for line in lines if line.goes]
    if not lines:
        console.print("There is nothing to clear away.")
        return
    table = make_table(None, "what", "where", "number", "size", "age", "why", "")
    for line in lines:
        age = "" if line.age_s is None else duration_text(line.age_s)
        size = "" if line.size is None else size_text(line.size)
        end = "stays" if not line.goes or (deleted and not line.done) else "deleted" if deleted else "goes"
        table.add_row(line.thing.value, escape(line.where), str(line.files), size, age, escape(line.why), end)
    console.print(table)
    size = size_text(sum(line.size or 0 for line in goes if line.done or not deleted))
    if deleted:
        console.print(f"{size} were deleted.")
    else:
        console.print(f"{size} can go. Nothing was deleted: add --yes to do so." if goes else "None of this goes.")


def size_text(size: int) -> str:
    """Return a number of bytes as people read it."""
    number = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
