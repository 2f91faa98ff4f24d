"""``fmdj import``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Annotated

import typer

from fmdj_cloud.cli.bars import steps
from fmdj_cloud.cli.common import Output, OutputOption, PipelineOption, console, emit_json, make_table
from fmdj_cloud.cli.context import Context, open_context
from fmdj_cloud.cli.views import escape, state_text
from fmdj_cloud.control.outputs import OutputEnd, OutputLine
from fmdj_cloud.control.scan import find_outputs, insert_tasks
from fmdj_cloud.errors import UsageError
from fmdj_cloud.storage import uri as uris


def import_outputs(
    prefix: Annotated[
        str,
        typer.Argument(
            metavar="PREFIX", help="Folder of outputs: a URI, or relative to the processed root; `.` for all."
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Insert the tasks; by default they are only shown.")] = False,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Find Facemap outputs that exist, and insert a task with task_mode='load' where a recording has none.

    For a _proc.npy that is a FacemapTask, for a _FacemapPose.h5 a FacemapInferenceTask of the model that made it.

    The controller imports what such tasks name. Nothing else is written into the lab's tables.
    """
    with open_context(pipeline) as context:
        with steps("Looking at") as look:
            lines = _find(context, prefix, look)
        if yes:
            with steps("Inserting tasks of", len(context.labs)) as step:
                for lab in context.labs:
                    step(lab.name)
                    insert_tasks(lab, lines)
    if output is Output.JSON:
        emit_json(lines)
        return
    _show(lines, prefix, yes)


def _find(context: Context, prefix: str, seen: Callable[[str], None]) -> list[OutputLine]:
    lines = []
    searched = False
    for lab in context.labs:
        root = lab.settings.processed_root
        if "://" in prefix:
            inside = prefix.rstrip("/") == root.rstrip("/") or uris.relative(prefix.rstrip("/"), root) is not None
            folder = prefix if inside else None
        else:
            folder = root if prefix.strip("/") in ("", ".") else uris.join(root, prefix.strip("/"))
        if folder is not None:
            searched = True
            lines += find_outputs(lab, context.store, folder, seen)
    if not searched:
        roots = ", ".join(lab.settings.processed_root for lab in context.labs)
        raise UsageError(f"{prefix} lies in no processed root ({roots}): outputs are imported from there.")
    return lines


def _show(lines: list[OutputLine], prefix: str, yes: bool) -> None:
    if not lines:
        console.print(f"There is no *_proc.npy and no *_FacemapPose.h5 below {prefix}, but for those of our own runs.")
        return
    table = make_table(None, "output", "", "task", "note")
    for line in lines:
        table.add_row(escape(line.uri), state_text(line.end.value), escape(line.task_text), escape(line.sentence))
    console.print(table)
    number = Counter(line.end for line in lines)[OutputEnd.NEW]
    if number:
        console.print(f"{number} tasks were inserted." if yes else f"Add --yes to insert {number} tasks.")
