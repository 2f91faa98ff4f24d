"""``python -m fmdj_cloud.worker.importing.child FOLDER``: looks at the videos, has the file read, compares.

Everything that touches the bytes of a video happens here; what touches those of what is imported happens in a
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
from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.child import run_child
from fmdj_cloud.worker.counts import Counts, Grid, count, view_frames
from fmdj_cloud.worker.handover import ChildJob, ChildResult, Desk
from fmdj_cloud.worker.importing.imported import Imported
from fmdj_cloud.worker.importing.originals import original, pose_originals
from fmdj_cloud.worker.importing.pose import PoseFile, PoseJob
from fmdj_cloud.worker.importing.reader import ReaderJob, read_apart
from fmdj_cloud.worker.progress import Teller, Where
from fmdj_cloud.worker.video import read_facts

log = logging.getLogger("fmdj_cloud.worker.importing.child")  # __name__ is "__main__" in the child


def main(arguments: Sequence[str]) -> int:
    """Import what lies on the desk; return 0, or the exit code of the failure told there."""
    return run_child(arguments, _import)


def _import(desk: Desk, job: ChildJob) -> ChildResult:
    spec = job.spec
    videos = tuple(tuple(Path(path) for path in row) for row in job.videos)
    teller = Teller(desk.told)
    timings = {}
    began = time.monotonic()
    grid = _read_facts(videos, teller)
    counts = count(grid, spec.limits, spec.accept) if grid else None
    timings["check"] = round(time.monotonic() - began, 3)
    teller.tell(Where("read"))
    began = time.monotonic()
    reading = _reading(desk, spec, grid, counts)
    imported = read_apart(desk.folder / "reader", reading)
    timings["read"] = round(time.monotonic() - began, 3)
    if imported.seconds:
        timings["pose"] = round(imported.seconds, 3)  # of Facemap, wherever it ran
    name = reading.files[0].name
    warnings: tuple[str, ...]
    if counts is None:
        warnings = (f"The videos aren't there, so that nothing says whether {name} covers all their frames.",)
    else:
        warnings = counts.warnings
        if spec.pose is None:
            _compare(name, imported, grid, counts.nframes)
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


def _reading(desk: Desk, spec: RunSpec, grid: Grid, counts: Counts | None) -> ReaderJob:
    fps = grid[0][0].fps if grid else 0.0
    common = {"signals": str(desk.signals), "run_id": spec.run_id, "fps": fps, "parent": os.getpid()}
    if spec.pose is None:
        return ReaderJob(proc=str(original(desk, spec)), **common)
    view = spec.pose.pose_view
    if grid and view >= len(grid[0]):
        raise InputError(
            f"pose_view is {view} and the recording has {len(grid[0])} view(s), numbered from 0: correct it in the "
            "task's bbox.",
            check="pose_view",
        )
    facts = [row[view] for row in grid]
    files = tuple(
        PoseFile(
            points=str(points),
            metadata=str(metadata) if metadata else "",
            frames=counts.frames[number] if counts else None,
            known=(facts[number].frames, facts[number].header_frames) if facts else (),
        )
        for number, (points, metadata) in enumerate(pose_originals(desk, spec))
    )
    pose = PoseJob(
        files=files,
        body_parts=spec.pose.body_parts,
        view=view,
        bbox=spec.pose.bbox[view] if view < len(spec.pose.bbox) else None,
        size=(facts[0].height, facts[0].width) if facts else None,
        max_bad_frames=spec.limits.max_bad_frames,
        accept=spec.accept,
    )
    return ReaderJob(pose=pose, **common)


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
