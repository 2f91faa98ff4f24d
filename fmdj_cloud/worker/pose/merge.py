"""``python -m fmdj_cloud.worker.pose.merge FOLDER``: joins the shards of a pose run, without torch or Facemap."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from fmdj_cloud.contracts import ViewFrames
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.worker.child import run_child
from fmdj_cloud.worker.counts import Grid
from fmdj_cloud.worker.handover import ChildJob, ChildResult, Desk
from fmdj_cloud.worker.pose.bounds import bound_of
from fmdj_cloud.worker.pose.results import Results
from fmdj_cloud.worker.pose.shard import PART_FILE, joined, read_part
from fmdj_cloud.worker.pose.trace import bad_frames
from fmdj_cloud.worker.progress import Teller, Where
from fmdj_cloud.worker.timings import Timings
from fmdj_cloud.worker.versions import processor, versions_of
from fmdj_cloud.worker.video import FileFacts

_PACKAGES = ("numpy", "h5py")


def main(arguments: Sequence[str]) -> int:
    """Join what lies on the desk; return 0, or the exit code of the failure told there."""
    return run_child(arguments, compute)


def compute(desk: Desk, job: ChildJob) -> ChildResult:
    """Join the shards that lie on the desk.

    Raises
    ------
    InputError
        If more frames than allowed hold no point, or fewer can be decoded than may be missing.
    """
    spec, timings = job.spec, Timings()
    if spec.pose is None:
        raise ConfigError(f"The spec of {spec.run_id} holds no pose parameters: plan the run again.")
    with timings.of("write"):
        Teller(desk.told).tell(Where("write"))
        parts = [read_part(desk.given / f"{index}-{PART_FILE}") for index in range(len(job.shards))]
        facts = _facts(job.videos, job.views)
        traces = joined(parts, facts)
        for view in range(len(facts[0])):
            found = (traces[view, file] for file in range(len(facts)))
            bound_of(spec).check(view, sum(bad_frames(trace.points(trace.frames)) for trace in found))
        batches = sorted({part.batch for part in parts if part.batch})
        body_parts = max((part.body_parts for part in parts), key=len)
        results = Results(spec, spec.pose, facts, traces, body_parts, max(batches, default=1))
        made = results.write(desk)
    mixed = (f"Shards were computed with {' and '.join(map(str, batches))} frames at once.",) * (len(batches) > 1)
    return made.model_copy(
        update={
            "versions": versions_of(_PACKAGES),
            "device": processor(),
            "timings_s": timings.seconds,
            "warnings": (*made.warnings, *mixed),
        }
    )


def _facts(videos: tuple[tuple[str, ...], ...], views: tuple[ViewFrames, ...]) -> Grid:
    """Return what the shards' pods have found in the files."""
    return tuple(
        tuple(
            FileFacts(
                name=Path(path).name,
                height=views[view].height,
                width=views[view].width,
                fps=views[view].fps,
                codec="",
                header_frames=views[view].header_frames[file],
                frames=views[view].frames[file],
            )
            for view, path in enumerate(row)
        )
        for file, row in enumerate(videos)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
