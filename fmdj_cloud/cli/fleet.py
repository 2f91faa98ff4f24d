"""The tables of ``fmdj plan --fleet``."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from fmdj_cloud.cli.common import Output, console, emit_json, make_table
from fmdj_cloud.cli.views import escape
from fmdj_cloud.control.fleet.file import read_fleet
from fmdj_cloud.control.fleet.report import FleetReport, Way, plan_fleet
from fmdj_cloud.control.words import duration_text


def show_fleet(path: Path, output: Output) -> None:
    """Print how long it takes and what it costs.

    Raises
    ------
    ConfigError
        If the file is wrong.
    """
    report = plan_fleet(read_fleet(path))
    if output is Output.JSON:
        emit_json(report)
        return
    for table in fleet_tables(report):
        console.print(table)
        console.print()
    for note in report.notes:
        console.print(note, markup=False)


def fleet_tables(report: FleetReport) -> list[Table]:
    """Return the tables: one recording of each sort, and every way to compute all."""
    sorts = make_table(None, "recordings", "number", "frames of each", "CPU time", "its pod", "memory", "results")
    for sort in report.recordings:
        sorts.add_row(
            escape(sort.name),
            f"{sort.number:,}",
            f"{sort.frames:,}",
            duration_text(sort.cpu_s),
            duration_text(sort.pod_s),
            f"{sort.memory_gib:.1f} GiB",
            f"{sort.output_mib:.0f} MiB",
        )
    ways = make_table(None, "all of it", "takes", "costs", "node hours", "lost", "nodes", "Jobs", "bound by")
    ways.columns[0].no_wrap = True  # JSON tells more: more columns wouldn't fit an ordinary terminal
    for way in report.ways:
        ways.add_row(
            way_text(way),
            long_text(way.hours),
            f"{way.cost:,.2f}",
            f"{way.node_hours:,.0f}",
            f"{way.lost_hours:,.1f} h" if way.spot else "",
            f"{way.nodes:,}",
            f"{way.jobs:,}",
            way.bound,
        )
    return [sorts, ways]


def way_text(way: Way) -> str:
    """Return a way in words."""
    place = "spot" if way.spot else "on demand"
    return f"{place}, {f'cut into {way.shards}' if way.shards > 1 else 'in one piece'}"


def long_text(hours: float) -> str:
    """Return a long time as people say it."""
    return f"{hours / 24:.1f} days" if hours >= 48 else duration_text(hours * 3600)
