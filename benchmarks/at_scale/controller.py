"""A controller that tells of every pass: alone in its process, so that its memory is its own."""

from __future__ import annotations

import json
import time
from pathlib import Path

from fmdj_cloud.control.backends import open_backend
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import open_store


def control() -> None:
    """Be the controller: run passes for ever, and tell of each."""
    settings = Settings()
    database, store = Database(settings.database), open_store(settings.storage)
    began = time.monotonic()
    with open_backend(settings, database, store) as backend:
        synced_s = time.monotonic() - began
        program = Controller(
            settings,
            database,
            store,
            backend.launcher,
            elector=backend.elector,
            keeper=backend.keeper,
            check=backend.check,
        )
        while True:
            began, cpu = time.monotonic(), time.process_time()
            report = program.run_pass()
            took = {"wall_s": time.monotonic() - began, "cpu_s": time.process_time() - cpu}
            told = {"leading": report.leading, "launched": report.launched, "under_way": report.under_way}
            print(json.dumps({**told, **took, **memory(), "synced_s": synced_s, "errors": report.errors}), flush=True)
            time.sleep(0.0 if report.hurries else settings.controller.interval_s)


def memory() -> dict[str, float]:
    """Return this process's memory, MiB: resident now, and at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return {"rss_mib": int(found["VmRSS"]) / 1024, "peak_mib": int(found["VmHWM"]) / 1024}


if __name__ == "__main__":
    control()
