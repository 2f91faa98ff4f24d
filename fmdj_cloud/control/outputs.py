"""Existing Facemap outputs, and which recordings they belong to."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from fmdj_cloud.contracts import Frozen, Kind
from fmdj_cloud.control.places import OUTPUT_DIR_MAX
from fmdj_cloud.control.plan_import import SUFFIX
from fmdj_cloud.control.views import base_name
from fmdj_cloud.names import display_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.recordings import KnownRecording, TaskOutput, known_recordings
from fmdj_cloud.storage import Store
from fmdj_cloud.storage import uri as uris

_OURS = re.compile(rf"(^|/)({'|'.join(Kind)})-[0-9a-f]{{16}}/a\d+/")
_RULE = re.compile(r"(?P<folder>.*?)/?facemap_(?P<task>\d+)")
_TASK_ID_MAX = 32767


class OutputEnd(enum.StrEnum):
    """What becomes of an output."""

    NEW = "new task"
    KNOWN = "has a task"
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "no recording"


class OutputLine(Frozen):
    """One existing output."""

    pipeline: str
    uri: str
    end: OutputEnd
    recording: dict[str, Any] | None = None
    task_id: int | None = None
    output_dir: str = ""
    """Relative to the processed root."""
    sentence: str = ""

    @property
    def task_text(self) -> str:
        """The task as people type it."""
        if self.recording is None or self.task_id is None:
            return ""
        return display_key({**self.recording, "facemap_task_id": self.task_id})


def find_outputs(lab: Lab, store: Store, prefix_uri: str) -> list[OutputLine]:
    """Find what Facemap has written below a folder of the processed root, and whose it is.

    Parameters
    ----------
    lab : Lab
    store : Store
    prefix_uri : str
        A folder in or at the processed root.
    """
    root = lab.settings.processed_root.rstrip("/")
    paths = []
    for info in store.list(f"{prefix_uri.rstrip('/')}/"):
        path = uris.relative(info.uri, root)
        if path is not None and path.endswith(SUFFIX) and not _OURS.search(path):
            paths.append(path)
    recordings = known_recordings(lab.element.database, lab.element)
    return list(match_outputs(lab.name, root, sorted(paths), recordings))


def match_outputs(
    pipeline: str, root: str, paths: Sequence[str], recordings: Iterable[KnownRecording]
) -> Iterator[OutputLine]:
    """Say for every output which recording it belongs to: pure.

    An output is called after its recording's first video. Where several are called so, the folder decides: the
    video's, or ``facemap_<task id>`` below it.

    Parameters
    ----------
    pipeline : str
    root : str
        The processed root.
    paths : sequence of str
        Outputs, relative to it.
    recordings : iterable of KnownRecording
    """
    by_stem: dict[str, list[KnownRecording]] = {}
    for recording in recordings:
        by_stem.setdefault(PurePosixPath(base_name(recording.first_path)).stem, []).append(recording)
    taken: dict[int, set[int]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        line = OutputLine(pipeline=pipeline, uri=f"{root}/{path}", output_dir=folder, end=OutputEnd.UNKNOWN)
        named = by_stem.get(name.removesuffix(SUFFIX), [])
        near = [recording for recording in named if _is_near(recording, folder)]
        chosen = near or named
        if not chosen:
            sentence = f"No recording's first video is called {name.removesuffix(SUFFIX)}."
            yield line.model_copy(update={"sentence": sentence})
        elif len(chosen) > 1:
            words = "; ".join(display_key(recording.key) for recording in chosen)
            sentence = f"It may belong to {words}: insert the FacemapTask row yourself."
            yield line.model_copy(update={"end": OutputEnd.AMBIGUOUS, "sentence": sentence})
        else:
            yield _line_of(line, chosen[0], folder, taken.setdefault(id(chosen[0]), set()))


def _line_of(line: OutputLine, recording: KnownRecording, folder: str, taken: set[int]) -> OutputLine:
    found = {"recording": dict(recording.key)}
    rule = _RULE.fullmatch(folder)
    for task in recording.tasks:
        if _is_of_task(task, folder, rule):
            what = "its outputs are imported" if task.mode == "load" else "it is computed (task_mode='trigger')"
            changes = {"end": OutputEnd.KNOWN, "task_id": task.task_id, "sentence": f"Task {task.task_id}: {what}."}
            return line.model_copy(update=found | changes)
    if len(folder) > OUTPUT_DIR_MAX:
        sentence = f"The folder's name has {len(folder)} characters and facemap_output_dir holds {OUTPUT_DIR_MAX}."
        return line.model_copy(update=found | {"end": OutputEnd.AMBIGUOUS, "sentence": sentence})
    used = {task.task_id for task in recording.tasks} | taken
    wanted = int(rule["task"]) if rule is not None else 0
    task_id = wanted if wanted not in used and wanted <= _TASK_ID_MAX else max(used, default=-1) + 1
    taken.add(task_id)
    return line.model_copy(update=found | {"end": OutputEnd.NEW, "task_id": task_id})


def _is_of_task(task: TaskOutput, folder: str, rule: re.Match[str] | None) -> bool:
    given = task.output_dir.strip("/")
    if given and task.mode == "load":
        return given == folder or given.endswith(f"/{folder}")
    return rule is not None and int(rule["task"]) == task.task_id


def _is_near(recording: KnownRecording, folder: str) -> bool:
    """Whether an output's folder is its video's, or one that the Element's rule names."""
    video_folder = recording.first_path.replace("\\", "/").rpartition("/")[0]
    rule = _RULE.fullmatch(folder)
    bare = rule["folder"] if rule is not None else folder
    return any(video_folder == name or (name != "" and video_folder.endswith(f"/{name}")) for name in {bare, folder})
