"""Look for outputs that exist, and for the recordings that they belong to: the shell around the matching."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.outputs import OutputEnd, OutputLine, match_outputs, output_paths
from fmdj_cloud.control.outputs_pose import match_keypoints
from fmdj_cloud.names import POSE_SUFFIX, PROC_SUFFIX
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.recordings import (
    insert_load_inferences,
    insert_load_tasks,
    known_models,
    known_recordings,
)
from fmdj_cloud.storage import Store


def find_outputs(
    lab: Lab, store: Store, prefix_uri: str, seen: Callable[[str], None] = lambda _: None
) -> list[OutputLine]:
    """Find what Facemap has written below a folder of the processed root, and whose it is.

    Keypoints are only looked for where the pipeline has an inference schema.

    Parameters
    ----------
    lab : Lab
    store : Store
    prefix_uri : str
        A folder in or at the processed root.
    seen : callable
        Told of every file that is looked at.
    """
    root = lab.settings.processed_root.rstrip("/")
    paths = output_paths(store, root, prefix_uri, seen)
    database = lab.element.database
    procs = [path for path in paths if path.endswith(PROC_SUFFIX)]
    lines = list(match_outputs(lab.name, root, procs, known_recordings(database, lab.element)))
    if lab.inference is not None:
        keypoints = [path for path in paths if path.endswith(POSE_SUFFIX)]
        recordings = known_recordings(database, lab.element, lab.inference)
        models = known_models(database, lab.inference)
        lines += match_keypoints(lab.name, root, keypoints, recordings, models)
    return lines


def insert_tasks(lab: Lab, lines: Iterable[OutputLine]) -> int:
    """Insert a task with ``task_mode='load'`` for every output of a lab's that is to have one; return how many.

    Raises
    ------
    LostRaceError
        If somebody has just inserted such a task; those before it are there.
    DatabaseError
        If the database refuses.
    """
    new = [line for line in lines if line.pipeline == lab.name and line.end is OutputEnd.NEW]
    rows = {
        kind: [(line.recording or {}, line.task_id or 0, line.output_dir) for line in new if line.kind is kind]
        for kind in (Kind.SVD, Kind.POSE)
    }
    number = insert_load_tasks(lab.element, rows[Kind.SVD])
    if lab.inference is not None:
        number += insert_load_inferences(lab.inference, rows[Kind.POSE])
    return number
