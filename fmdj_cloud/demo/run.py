"""The demo: the whole path, for real, on this machine."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

from fmdj_cloud.cli.bars import steps
from fmdj_cloud.cli.common import make_table
from fmdj_cloud.cli.views import escape, progress_cell, state_text
from fmdj_cloud.contracts import Kind, RunState
from fmdj_cloud.control.progress import progress_text
from fmdj_cloud.control.status import RunLine, StatusReport, gather_status
from fmdj_cloud.demo.entries import Bench, Entry
from fmdj_cloud.demo.pose_report import draw_poses
from fmdj_cloud.demo.programs import running_programs
from fmdj_cloud.demo.report import RunReport, draw_figure, report_run
from fmdj_cloud.demo.scenarios import SCENARIOS, Scenario
from fmdj_cloud.demo.settle import watch_until_settled
from fmdj_cloud.demo.world import BEHAVIOR_SCHEMA, INFERENCE_SCHEMA, PIPELINE, demo_servers
from fmdj_cloud.errors import UsageError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import open_store

_PATIENCE_S = 1800.0
_PAUSE_S = 0.5
_SAY_S = 5.0
"""Between lines about a run's progress, where there is no terminal."""
_DRAW = {Kind.SVD: draw_figure, Kind.POSE: draw_poses}
_SERVERS = {"postgresql": "PostgreSQL", "mariadb": "MariaDB"}


def run_demo(
    console: Console,
    workdir: Path,
    *,
    database: str = "postgresql",
    keep: bool = False,
    json_file: Path | None = None,
    scenarios: tuple[Scenario, ...] = SCENARIOS,
) -> bool:
    """Run the demo.

    Parameters
    ----------
    console : Console
        Where progress and the report go.
    workdir : Path
        Folder for recordings, logs and figures; made if missing.
    database : str
        ``postgresql`` or ``mariadb``.
    keep : bool
        Leave the servers up and say how to connect.
    json_file : Path, optional
        Where the report goes as JSON.
    scenarios : tuple of Scenario
        What to run.

    Returns
    -------
    bool
        Whether what should load loaded and what should fail failed.
    """
    workdir = workdir.resolve()
    _make_ready(workdir, json_file)
    console.print(f"Starting {_SERVERS[database]} and an S3 server ...")
    with demo_servers(workdir, database=database, keep=keep) as settings:
        connection = Database(settings.database)
        store = open_store(settings.storage)
        bench = Bench(connection, store, settings.pipeline(PIPELINE))
        if any(scenario.kind is Kind.POSE for scenario in scenarios):
            console.print("Training a small pose network on generated faces, which takes about half a minute ...")
            bench.add_model(workdir)
        entries = []
        with steps("Recording", len(scenarios), on=console) as step:
            for number, scenario in enumerate(scenarios, 1):
                step(scenario.name)
                console.print(f"Recording {number} of {len(scenarios)}: [bold]{scenario.name}[/] ({scenario.story})")
                entries.append(bench.add(scenario, number, workdir / "recordings"))
        ledger = Ledger(connection)
        lab = open_lab(connection, ledger, settings.pipeline(PIPELINE))
        console.print("Controller, workers and loader are at work; every frame is really computed.")
        with (
            running_programs(workdir) as programs,
            _live(console) as live,
        ):

            def look() -> StatusReport:
                programs.check()
                return gather_status(ledger, [lab], store)

            watch_until_settled(look, _shower(console, live, entries), pause_s=_PAUSE_S, patience_s=_PATIENCE_S)
        reports = [report_run(lab, ledger, entry) for entry in entries]
        figures = [
            _DRAW[entry.scenario.kind](lab, entry, workdir)
            for entry, done in zip(entries, reports, strict=True)
            if done.state == RunState.LOADED.value
        ]
        ok = all(done.as_expected for done in reports)
        console.print(_result_table(entries, reports))
        for path in figures:
            console.print(f"Figure: {path}")
        _explain_queries(console, settings, workdir, keep, entries)
        if json_file is not None:
            content = {"runs": [done.as_json() for done in reports], "ok": ok}
            json_file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
        connection.close()
    console.print("[green]All as it should be.[/]" if ok else "[red]Not all is as it should be.[/]")
    return ok


def _make_ready(workdir: Path, json_file: Path | None) -> None:
    """Make the folders, and see that the report can be written, before anything is started."""
    try:
        (workdir / "recordings").mkdir(parents=True, exist_ok=True)
        if json_file is not None:
            json_file.touch()
    except OSError as error:
        raise UsageError(f"The demo can't write to {error.filename}: {error.strerror}.") from error


def _live(console: Console) -> contextlib.AbstractContextManager[Live | None]:
    """Draw over what was drawn, on a real terminal alone: notebooks set FORCE_COLOR, which rich takes for one."""
    if console.is_terminal and console.file.isatty():
        return Live(console=console, refresh_per_second=4)
    return contextlib.nullcontext()


def _shower(console: Console, live: Live | None, entries: list[Entry]) -> Callable[[StatusReport], None]:
    """Show a live table on a terminal; elsewhere a line per change of state, and progress now and then."""
    last: dict[str, tuple[str, float]] = {}

    def show(report: StatusReport) -> None:
        runs = {run.task["recording_id"]: run for run in report.runs}
        if live is not None:
            live.update(_live_table(entries, runs))
            return
        for entry in entries:
            run = runs.get(entry.key["recording_id"])
            state = run.state.value if run else "pending"
            progress = progress_text(run.progress) if run else ""
            before, said = last.get(entry.scenario.name, ("", 0.0))
            if state != before or (progress and time.monotonic() - said > _SAY_S):
                last[entry.scenario.name] = state, time.monotonic()
                console.print(f"{entry.scenario.name}: {state}{f', {progress}' if progress else ''}")

    return show


def _live_table(entries: list[Entry], runs: dict[int, RunLine]) -> Table:
    table = make_table(None, "recording", "run", "state", "progress")
    for entry in entries:
        run = runs.get(entry.key["recording_id"])
        if run is None:
            table.add_row(entry.scenario.name, "", "pending", "")
        else:
            table.add_row(entry.scenario.name, run.run_id, state_text(run.state), progress_cell(run.progress))
    return table


def _result_table(entries: list[Entry], reports: list[RunReport]) -> Table:
    table = make_table(None, "recording", "run", "state", "as expected", "frames", "seconds", "rows or reason")
    for entry, report in zip(entries, reports, strict=True):
        rows = ", ".join(f"{name.rpartition('.')[2]} {count}" for name, count in report.rows.items() if count)
        table.add_row(
            entry.scenario.name,
            report.run_id or "",
            state_text(report.state),
            "[green]yes[/]" if report.as_expected else "[red]no[/]",
            str(report.frames or ""),
            f"{report.seconds:.1f}" if report.seconds is not None else "",
            escape(report.sentence) or rows + _error(report),
        )
    return table


def _error(report: RunReport) -> str:
    return "" if report.median_error_px is None else f"; median error {report.median_error_px:.1f} px"


def _explain_queries(console: Console, settings: Settings, workdir: Path, keep: bool, entries: Sequence[Entry]) -> None:
    poses = next((entry.key["recording_id"] for entry in entries if entry.scenario.kind is Kind.POSE), None)
    database = settings.database
    password = database.password.get_secret_value() if database.password is not None else ""
    port = f", port={database.port}" if database.port is not None else ""
    code = (
        "import datajoint as dj\n"
        f"lab = dj.Instance(host={database.host!r}{port}, user={database.user!r}, password={password!r},\n"
        f"                  backend={database.backend!r}, use_tls={database.use_tls!r})\n"
        f"facemap = dj.VirtualModule('facemap', {BEHAVIOR_SCHEMA!r}, connection=lab.connection)\n"
        "motion = (facemap.FacialSignal.Region & 'recording_id=1').to_dicts()\n"
        "svd = (facemap.FacialSignal.MotionSVD & 'recording_id=1' & 'roi_no=0').to_arrays('projection')"
    )
    if poses is not None:
        code += (
            "\nfrom fmdj_cloud.pipeline.trajectory import get_trajectory\n"
            f"inference = dj.VirtualModule('inference', {INFERENCE_SCHEMA!r}, connection=lab.connection)\n"
            f"poses = get_trajectory(inference, 'recording_id={poses}', ['nose(tip)', 'eye(front)', 'eye(back)'])"
        )
    console.print("\nFetch the results with DataJoint:")
    console.print(Syntax(code, "python", background_color="default", word_wrap=False))
    if keep:
        console.print(
            Panel(
                f"The servers are still up. In this or another shell:\n"
                f"  export FMDJ_CONFIG={workdir / 'config.yaml'}\n"
                f"  fmdj status\n"
                f"Stop them and remove their data with:\n"
                f"  fmdj demo --stop --output-dir {workdir}",
                title="--keep",
                expand=False,
            )
        )
    else:
        console.print("(`fmdj demo --keep` leaves the servers up for that.)")
