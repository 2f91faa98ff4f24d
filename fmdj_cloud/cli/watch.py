"""Watch a report change: a live picture on a terminal, a line for every change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from rich.console import Console, Group
from rich.live import Live

from fmdj_cloud.cli.bars import drawn_on
from fmdj_cloud.cli.views import NO_CONTROLLER, status_tables
from fmdj_cloud.control.progress import progress_text
from fmdj_cloud.control.status import StatusReport
from fmdj_cloud.printable import printable


def watch_status(gather: Callable[[], StatusReport], console: Console, interval_s: float) -> None:
    """Show the status again and again until interrupted.

    Parameters
    ----------
    gather : callable
        Returns the newest report.
    console : rich.console.Console
    interval_s : float
        Pause between two reports, seconds.
    """
    if drawn_on(console):
        with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                report = gather()
                said = () if report.leader is not None else (NO_CONTROLLER,)
                live.update(Group(*said, *status_tables(report, bars=True)), refresh=True)
                time.sleep(interval_s)
    shown: dict[str, str] = {}
    while True:
        now = status_lines(gather())
        for line in changes(shown, now):
            console.print(line, markup=False, highlight=False)
        shown = now
        time.sleep(interval_s)


def status_lines(report: StatusReport) -> dict[str, str]:
    """Return one line of plain text for every pipeline, run and task without a run, by what it is about."""
    lines = {"controller": f"controller: {report.leader or 'none is running'}"}
    for pipeline in report.pipelines:
        held = ", held at first start" if pipeline.brake else ""
        lines[f"pipeline {pipeline.name}"] = f"pipeline {pipeline.name}: {pipeline.pending} pending{held}"
    for run in report.runs:
        text = progress_text(run.progress) or run.sentence
        lines[run.run_id] = f"{run.run_id} [{run.task_text}] {run.state} (attempt {run.attempt}) {text}".rstrip()
    for binding in report.bindings:
        text = f"[{binding.task_text}] {binding.state} {binding.sentence}".rstrip()
        lines[f"{binding.pipeline} {binding.task_text}"] = text
    return {name: printable(line) for name, line in lines.items()}


def changes(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """Return the lines that are new or different, and what is gone: pure."""
    yield from (line for name, line in after.items() if before.get(name) != line)
    yield from (f"{name}: no longer listed" for name in before if name not in after)
