"""A hundred thousand tasks, as the controller scans them and as ``fmdj status`` shows them."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from benchmarks.at_scale.controllers import SERVERS
from benchmarks.kubernetes import Figure
from fmdj_cloud.control.status import gather_status
from fmdj_cloud.storage import open_store
from tests.support.crowd import crowd

REPEATS = 5


def crowds(folder: Path, server: str, tasks: int) -> list[Figure]:
    """Scan and show: nine tenths are loaded, the rest is pending but for some that failed."""
    with SERVERS[server](folder) as settings, crowd(settings, tasks=tasks, pending=tasks // 10, failed=500) as lab:
        scans = [lab.scan() for _ in range(REPEATS)]
        took = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            mine = lab.open()
            gather_status(mine.ledger, [mine.lab], open_store(mine.settings.storage))
            took.append(time.perf_counter() - began)
            mine.database.close()
    return [
        Figure(
            f"queries_per_scan_{server}", max(len(scan.asked) for scan in scans), f"queries of a scan, {tasks} tasks"
        ),
        Figure(f"status_s_{server}", statistics.median(took), "counts and first page, connecting included, s (median)"),
    ]
