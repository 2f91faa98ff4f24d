"""Existing outputs of Facemap's SVD, and which recordings they belong to."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from fmdj_cloud.contracts import Frozen, Kind
from fmdj_cloud.control.places import OUTPUT_DIR_MAX
from fmdj_cloud.control.views import base_name
from fmdj_cloud.names import POSE_SUFFIX, PROC_SUFFIX, display_key
from fmdj_cloud.pipeline.inference import MODEL_ID
from fmdj_cloud.pipeline.recordings import TASK_ID, KnownRecording, TaskOutput
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
    kind: Kind = Kind.SVD
    """Of the task table."""
    uri: str
    end: OutputEnd
    recording: dict[str, Any] | None = None
    task_id: int | None = None
    """The model's id for pose inference."""
    output_dir: str = ""
    """Relative to the processed root."""
    sentence: str = ""

    @property
    def task_text(self) -> str:
        """The task as people type it."""
        if self.recording is None or self.task_id is None:
            return ""
        name = MODEL_ID if self.kind is Kind.POSE else TASK_ID
        return display_key({**self.recording, name: self.task_id})


def output_paths(store: Store, root: str, prefix_uri: str, seen: Callable[[str], None] = lambda _: None) -> list[str]:
    """Return what Facemap has written below a folder of the processed root, relative to that: not what our runs have.

    Parameters
    ----------
    store : Store
    root : str
        URI of the processed root.
    prefix_uri : str
        A folder in or at it.
    seen : callable
        Told of every file that is looked at.
    """
    found = []
    for info in store.list(f"{prefix_uri.rstrip('/')}/"):
        path = uris.relative(info.uri, root) or ""
        seen(path)
        if path.endswith((PROC_SUFFIX, POSE_SUFFIX)) and not _OURS.search(path):
            found.append(path)
    return sorted(found)


def match_outputs(
    pipeline: str, root: str, paths: Sequence[str], recordings: Iterable[KnownRecording]
) -> Iterator[OutputLine]:
    """Say for every ``_proc.npy`` which recording it belongs to: pure.

    An output is called after its recording's first video. Where several are called so, the folder decides: the
    video's, or ``facemap_<task id>`` below it.

    Parameters
    ----------
    pipeline : str
    root : str
        The processed root.
    paths : sequence of str
        Of the outputs, relative to it.
    recordings : iterable of KnownRecording
    """
    by_stem: dict[str, list[KnownRecording]] = {}
    for recording in recordings:
        by_stem.setdefault(PurePosixPath(base_name(recording.first_path)).stem, []).append(recording)
    taken: dict[int, set[int]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        line = OutputLine(pipeline=pipeline, uri=f"{root}/{path}", output_dir=folder, end=OutputEnd.UNKNOWN)
        named = by_stem.get(name.removesuffix(PROC_SUFFIX), [])
        near = [recording for recording in named if is_near(recording.first_path, folder, _bare(folder))]
        chosen = near or named
        if not chosen:
            sentence = f"No recording's first video is called {name.removesuffix(PROC_SUFFIX)}."
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
    if task.output_dir.strip("/") and task.mode == "load":
        return loads_from(task, folder)
    return rule is not None and int(rule["task"]) == task.task_id


def loads_from(task: TaskOutput, folder: str) -> bool:
    """Tell whether a task's row says that its outputs are loaded from a folder."""
    given = task.output_dir.strip("/")
    return task.mode == "load" and (given == folder or given.endswith(f"/{folder}")) and given != ""


def _bare(folder: str) -> str:
    """Return the video's folder where an output's is one that the Element's rule names."""
    rule = _RULE.fullmatch(folder)
    return rule["folder"] if rule is not None else folder


def is_near(path: str, *folders: str) -> bool:
    """Tell whether a video lies in one of some folders, whatever it is that they are relative to."""
    there = path.replace("\\", "/").rpartition("/")[0]
    return any(there == name or (name != "" and there.endswith(f"/{name}")) for name in folders)
