"""What tests of reuse share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fmdj_cloud.names import attempt_folder

from .conftest import Site

VIDEO = "same.avi"


def outputs_of(site: Site, key: dict[str, Any], pipeline: str = "lab") -> Path:
    """The attempt folder of a task's run."""
    run = site.bench.run_of(key, pipeline)
    return Path(attempt_folder(run.output_dir, run.attempt).removeprefix("file://"))


def computed(site: Site) -> int:
    return sum(site.bench.jobs.computed.values())
