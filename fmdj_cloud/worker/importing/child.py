"""``python -m fmdj_cloud.worker.importing.child FOLDER``: looks at the videos, has the file read, compares.

Everything that touches the bytes of a video happens here; what touches those of the pickle happens in a
process of its own (:mod:`fmdj_cloud.worker.importing.reader`).
"""

from __future__ import annotations

import logging
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from fmdj_cloud import __version__
from fmdj_cloud.contracts import RunSpec
from fmdj_cloud.errors import FmdjError, InputError
from fmdj_cloud.logs import configure_logging, log_context
from fmdj_cloud.worker.counts import Grid, count, view_frames
from fmdj_cloud.worker.handover import ChildResult, Desk
from fmdj_cloud.worker.importing.convert import Imported
from fmdj_cloud.worker.importing.originals import original
from fmdj_cloud.worker.importing.reader import ReaderJob, read_apart
from fmdj_cloud.worker.lifeline import die_with
from fmdj_cloud.worker.mishaps import as_ours
from fmdj_cloud.worker.progress import Teller, Where
from fmdj_cloud.worker.video import read_facts

log = logging.getLogger("fmdj_cloud.worker.importing.child")  # __name__ is "__main__" in the child


def main(arguments: Sequence[str]) -> int:
    """Import what lies on the desk; return 0, or the exit code of the failure told there."""
    desk = Desk(Path(arguments[0]))
    configure_logging("INFO", "text")
    job = desk.get_job()
    die_with(job.parent)
    with log_context(run_id=job.spec.run_id, task=job.spec.task):
        try:
            videos = tuple(tuple(Path(path) for path in row) for row in job.videos)
            desk.put_result(_import(desk, job.spec, videos))
        except Exception as error:
            ours = as_ours(error)
            if ours is None:
                raise
            return _fail(desk, ours)
    return 0


def _fail(desk: Desk, error: FmdjError) -> int:
    try:
        desk.put_failure(error)
    except OSError:  # no room for it: the exit code says it all
        log.critical("%s", error.sentence)
    return error.exit_code


def _import(desk: Desk, spec: RunSpec, videos: tuple[tuple[Path, ...], ...]) -> ChildResult:
    teller = Teller(desk.told)
    timings = {}
    began = time.monotonic()
    grid = _read_facts(videos, teller)
    counts = count(grid, spec.limits, spec.accept) if grid else None
    timings["check"] = round(time.monotonic() - began, 3)
    teller.tell(Where("read"))
    began = time.monotonic()
    proc = original(desk, spec)
    job = ReaderJob(
        proc=str(proc),
        signals=str(desk.signals),
        run_id=spec.run_id,
        fps=grid[0][0].fps if grid else 0.0,
        parent=os.getpid(),
    )
    imported = read_apart(desk.folder / "reader", job)
    timings["read"] = round(time.monotonic() - began, 3)
    if counts is not None:
        _compare(proc.name, imported, grid, counts.nframes)
        warnings = counts.warnings
    else:
        warnings = (f"The videos aren't there, so that nothing says whether {proc.name} covers all their frames.",)
    return ChildResult(
        nframes=imported.nframes,
        views=view_frames(grid) if grid else (),
        versions=_versions(),
        device=f"cpu ({platform.machine()})",
        timings_s=timings,
        signals=imported.signals,
        warnings=(*warnings, *imported.warnings),
        gui_file=None,
    )


def _read_facts(videos: tuple[tuple[Path, ...], ...], teller: Teller) -> Grid:
    return tuple(
        tuple(read_facts(path, lambda frames: teller.tell(Where("check", frames))) for path in row) for row in videos
    )


def _compare(name: str, imported: Imported, grid: Grid, nframes: int) -> None:
    sizes = tuple((facts.height, facts.width) for facts in grid[0])
    if imported.sizes != sizes:
        of = " and ".join(f"{x}x{y}" for y, x in imported.sizes)
        found = " and ".join(f"{x}x{y}" for y, x in sizes)
        raise InputError(
            f"{name} was computed from video of {of} and this recording is {found} pixels: it belongs to another "
            "recording, or its views are grouped otherwise (facemap_params['views']).",
            check="import_size",
        )
    if imported.nframes != nframes:
        raise InputError(
            f"{name} has {imported.nframes} frames and the videos have {nframes} that can be decoded: it belongs to "
            "other videos, or Facemap made frames up where a video is damaged; set task_mode='trigger' to compute it.",
            check="import_frames",
        )


def _versions() -> dict[str, str]:
    """Return versions of what imports; which Facemap computed the file, it doesn't say."""
    return {
        "fmdj": __version__,
        "numpy": np.__version__,
        "h5py": h5py.__version__,
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
