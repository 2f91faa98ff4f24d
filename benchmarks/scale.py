"""What the parts can take: very many tasks, Jobs and results, and what bounds each.

Real controller and loaders, databases and an object store over HTTP; the fake API server of the tests takes as long to
answer as was recorded of a real one. Where real time would be an hour, the cluster's goes faster than ours: what the
controller does has that much less time then. ``--quick`` takes a tenth or less: the figures keep their names, and the
table says what was measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.at_scale.controllers import ALIVE, THROUGH, events, fill, first_hundred, hour, in_folder, questions
from benchmarks.at_scale.cpu import plan_against_worker
from benchmarks.at_scale.crowds import crowds
from benchmarks.at_scale.loaders import loaders
from benchmarks.kubernetes import Figure, machine

TASKS = 100_000
SPEED = 4.0
SERVERS = ("postgres", "mariadb")


def parts(quick: bool) -> dict[str, Callable[[], list[Figure]]]:
    """Return what there is to measure, by name."""
    tenth = 10 if quick else 1
    runs, frames = (8, 6000) if quick else (48, 30_000)
    numbers = (1, 2) if quick else (1, 2, 4)
    lengths = (1000,) if quick else (1000, 6000, 20_000)
    return {
        "crowds": lambda: [f for server in SERVERS for f in in_folder(crowds, server, TASKS // tenth)],
        "first": lambda: in_folder(first_hundred, TASKS // tenth),
        "questions": lambda: in_folder(questions, 100),
        "rate10": lambda: in_folder(fill, ALIVE // tenth, 10.0),
        "rate50": lambda: in_folder(fill, ALIVE // (4 if quick else 1), 50.0),
        "hour": lambda: in_folder(hour, ALIVE // tenth, THROUGH // (20 if quick else 1), SPEED),
        "events": lambda: in_folder(events, ALIVE // tenth),
        "loaders": lambda: [f for server in SERVERS for f in in_folder(loaders, server, runs, frames, numbers)],
        "plan": lambda: in_folder(plan_against_worker, lengths),
    }


def together(figures: list[Figure]) -> list[Figure]:
    """Add what is the worst of several."""
    found = list(figures)
    for name, ending in (("queries_per_scan", "_"), ("status_s", "_")):
        some = [figure for figure in figures if figure.name.startswith(f"{name}{ending}")]
        if some:
            found.append(Figure(name, max(figure.value for figure in some), "on either database"))
    memory = [figure for figure in figures if figure.name.endswith("_controller_mib")]
    named = [figure for figure in figures if figure.name == "controller_mib"]
    if memory:
        found = [figure for figure in found if figure not in named]
        most = max(figure.value for figure in memory + named)
        found.append(Figure("controller_mib", most, "memory of the controller at most, whatever it did, MiB"))
    adopted = [figure for figure in found if figure.name == "adopt_2000_s"]
    return [figure for figure in found if figure not in adopted[:-1]]


def main() -> int:
    """Measure, print one table, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth or less of everything")
    parser.add_argument("--only", choices=list(parts(True)), action="append", help="measure this alone; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    told = parser.parse_args()
    here = machine()
    figures: list[Figure] = []
    for name, measure in parts(told.quick).items():
        if not told.only or name in told.only:
            for figure in measure():
                figures.append(figure)
                print(f"scale.{figure.name:36}{figure.value:10.3f}  {figure.words}", flush=True)
    figures = together(figures)
    print(f"\n{'a tenth or less' if told.quick else 'all of it'}; {here}")
    for figure in figures:
        print(f"scale.{figure.name:36}{figure.value:10.3f}  {figure.words}")
    if told.json is not None:
        values = {f"scale.{figure.name}": figure.value for figure in figures}
        told.json.write_text(json.dumps({"machine": {**here, "quick": told.quick}, "figures": values}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
