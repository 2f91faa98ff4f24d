"""Models as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import markup
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from fmdj_cloud.cli.common import make_table
from fmdj_cloud.contracts import BindingState, Progress, RunState, Verdict
from fmdj_cloud.control.explain import Explanation
from fmdj_cloud.control.inspect import PlanReport
from fmdj_cloud.control.ordering import OrderEnd, OrderResult
from fmdj_cloud.control.outputs import OutputEnd
from fmdj_cloud.control.progress import progress_text
from fmdj_cloud.control.status import StatusReport
from fmdj_cloud.control.words import duration_text
from fmdj_cloud.printable import printable

STYLES = {
    RunState.READY.value: "cyan",
    RunState.LAUNCHED.value: "blue",
    RunState.PUBLISHED.value: "magenta",
    RunState.LOADED.value: "green",
    RunState.FAILED.value: "red",
    RunState.HELD.value: "yellow",
    RunState.CANCELLED.value: "yellow",
    RunState.SUPERSEDED.value: "dim",
    BindingState.WAITING.value: "yellow",
    BindingState.REFUSED.value: "red",
    OrderEnd.DONE.value: "green",
    OrderEnd.NOTHING.value: "dim",
    OrderEnd.LOST.value: "red",
    OutputEnd.NEW.value: "green",
    OutputEnd.KNOWN.value: "dim",
    OutputEnd.AMBIGUOUS.value: "yellow",
    OutputEnd.UNKNOWN.value: "yellow",
}


NO_CONTROLLER = "No controller is running: start `fmdj controller`."


def state_text(state: str) -> str:
    """Return a state in its colour."""
    style = STYLES.get(state)
    return f"[{style}]{state}[/]" if style else state


def escape(text: str) -> str:
    """Return text that rich prints as it is, but for control characters, which are escaped."""
    return markup.escape(printable(text, keep="\n\t"))


def progress_cell(progress: Progress | None) -> RenderableType:
    """Return progress as a bar with words, for what is drawn again and again."""
    if progress is None or not progress.frames_total:
        return escape(progress_text(progress))
    cell = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=progress.frames_total, completed=min(progress.frames_done, progress.frames_total), width=20)
    cell.add_row(bar, escape(progress_text(progress)))
    return cell


def status_tables(report: StatusReport, *, bars: bool = False) -> list[Table]:
    """Return the tables of ``fmdj status``.

    Parameters
    ----------
    report : StatusReport
    bars : bool
        Whether progress is a bar, too.
    """
    pipelines = make_table(None, "pipeline", "pending", "note")
    for line in report.pipelines:
        note = "held at first start: `fmdj plan`, then `fmdj release`" if line.brake else ""
        note = note if line.seen else "not seen by a controller yet"
        pending = str(line.pending)
        if len(line.by_kind) > 1:
            pending += f" ({', '.join(f'{number} {kind}' for kind, number in line.by_kind.items())})"
        pipelines.add_row(line.name, pending, note)
    tables = [pipelines]
    if report.runs:
        runs = make_table(None, "run", "task", "state", "attempt", "progress or reason")
        for run in report.runs:
            text: RenderableType = escape(progress_text(run.progress) or run.sentence)
            text = progress_cell(run.progress) if bars and run.progress is not None else text
            runs.add_row(run.run_id, escape(run.task_text), state_text(run.state), str(run.attempt), text)
        tables.append(runs)
    if report.bindings:
        bindings = make_table(None, "task without a run", "state", "reason")
        for binding in report.bindings:
            bindings.add_row(escape(binding.task_text), state_text(binding.state), escape(binding.sentence))
        tables.append(bindings)
    return tables


def explanation_table(explanation: Explanation) -> Table:
    """Return one task's explanation."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("task", escape(explanation.task_text))
    if explanation.run_id:
        table.add_row("run", explanation.run_id)
    table.add_row("state", state_text(explanation.state))
    table.add_row("why", escape(explanation.why))
    table.add_row("what to do", escape(explanation.advice))
    for attempt in explanation.attempts:
        detail = f"{attempt.outcome}: {attempt.sentence}" if attempt.sentence else attempt.outcome
        table.add_row(f"attempt {attempt.attempt}", escape(f"{attempt.started:%Y-%m-%d %H:%M:%S} {detail}"))
    if explanation.quality:
        passed = sum(check.verdict is Verdict.PASS for check in explanation.quality)
        table.add_row("quality", f"{passed} of {len(explanation.quality)} checks passed")
    for check in explanation.quality:
        if check.verdict is not Verdict.PASS:
            word = "[red]fail[/]" if check.verdict is Verdict.FAIL else "[yellow]warn[/]"
            table.add_row(f"  {check.check}", f"{word} {escape(check.sentence)}")
    return table


def plan_tables(name: str, report: PlanReport) -> list[Table]:
    """Return the tables of ``fmdj plan``."""
    held = ", held at first start until `fmdj release`" if report.brake else ""
    estimates = [line.estimate for line in report.lines if line.estimate is not None]
    seconds = sum(estimate.seconds for estimate in estimates)
    summary = Table(box=None, show_header=False, pad_edge=False)
    text = (
        f"{name}: {report.pending} pending{held}; {duration_text(seconds)} of computing for the {len(estimates)} shown"
    )
    if len(estimates) < report.pending and estimates:
        text += f", about {duration_text(seconds / len(estimates) * report.pending)} for all if the others are alike"
    summary.add_row(text)
    table = make_table(None, "task", "run", "frames", "time", "memory", "known from", "notes")
    for line in report.lines:
        estimate = line.estimate
        if estimate is None:
            kind = f"refused ({line.failure_class.value})" if line.failure_class else "waiting"
            table.add_row(escape(line.task_text), kind, "", "", "", "", escape(line.sentence))
        else:
            table.add_row(
                escape(line.task_text),
                line.run_id or "",
                f"{estimate.frames}",
                duration_text(estimate.seconds),
                f"{estimate.memory_mib} MiB",
                estimate.source,
                escape(" ".join(line.notes)),
            )
    return [summary, table]


def order_table(results: Sequence[OrderResult]) -> Table:
    """Return what an order came to, task by task."""
    table = make_table(None, "task", "run", "", "what happens")
    for result in results:
        table.add_row(
            escape(result.task_text), result.run_id or "", state_text(result.end.value), escape(result.sentence)
        )
    return table
