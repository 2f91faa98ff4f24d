"""Existing keypoints, and which recordings and models they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.outputs import OutputEnd, OutputLine, is_near, loads_from
from fmdj_cloud.control.places import OUTPUT_DIR_MAX
from fmdj_cloud.control.views import base_name
from fmdj_cloud.names import POSE_SUFFIX, display_key
from fmdj_cloud.pipeline.recordings import KnownRecording, TaskOutput

_RULE = re.compile(r"(?P<folder>.*?)/?facemap_recordingid(?P<recording>\d+)_model(?P<model>\d+)")


def match_keypoints(
    pipeline: str, root: str, paths: Sequence[str], recordings: Iterable[KnownRecording], models: Sequence[int]
) -> Iterator[OutputLine]:
    """Say for every ``_FacemapPose.h5`` which recording it belongs to, and which model may have made it: pure.

    Keypoints are called after their video. Where several videos are called so, the folder decides: one that a task
    loads from, the video's, or ``facemap_recordingid<r>_model<m>`` below it, which names the model, too. The
    keypoints of a recording with several files are one output, told of once.

    Parameters
    ----------
    pipeline : str
    root : str
        The processed root.
    paths : sequence of str
        Of the outputs, relative to it.
    recordings : iterable of KnownRecording
        With their tasks of pose inference.
    models : sequence of int
        Ids of all models.
    """
    by_stem: dict[str, list[tuple[KnownRecording, int]]] = {}
    for recording in recordings:
        for number, path in enumerate(recording.paths):
            by_stem.setdefault(_stem(path), []).append((recording, number))
    lying = set(paths)
    proposed: dict[tuple[int, int], str] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        line = OutputLine(
            pipeline=pipeline, kind=Kind.POSE, uri=f"{root}/{path}", output_dir=folder, end=OutputEnd.UNKNOWN
        )
        stem = name.removesuffix(POSE_SUFFIX)
        named = by_stem.get(stem, [])
        told = [one for one in named if _loading(one[0], folder) is not None]
        chosen = told or [one for one in named if _is_of(*one, folder)] or named
        if not chosen:
            yield line.model_copy(update={"sentence": f"No recording has a video called {stem}."})
        elif len({id(recording) for recording, _ in chosen}) > 1:
            words = "; ".join(display_key(recording.key) for recording, _ in chosen)
            sentence = f"It may belong to {words}: insert the FacemapInferenceTask row yourself."
            yield line.model_copy(update={"end": OutputEnd.AMBIGUOUS, "sentence": sentence})
        else:
            recording, number = chosen[0]
            missing = [
                other for other in recording.paths if f"{folder}/{_stem(other)}{POSE_SUFFIX}".lstrip("/") not in lying
            ]
            if number and _stem(recording.first_path) not in map(_stem, missing):
                continue
            yield _line_of(line, recording, missing, models, proposed)


def _line_of(
    line: OutputLine,
    recording: KnownRecording,
    missing: Sequence[str],
    models: Sequence[int],
    proposed: dict[tuple[int, int], str],
) -> OutputLine:
    found = line.model_copy(update={"recording": dict(recording.key)})
    if (task := _loading(recording, line.output_dir)) is not None:
        return _known(found, task)
    if missing:
        names = ", ".join(sorted(base_name(path) for path in missing))
        return _ambiguous(
            found,
            f"There are no keypoints of {names} beside it, files of the same recording: insert the row yourself, with "
            "bbox = {'views': [[file_id, ...]]} if they are simultaneous views.",
        )
    if len(line.output_dir) > OUTPUT_DIR_MAX:
        return _ambiguous(
            found, f"The folder's name has {len(line.output_dir)} characters, and the table holds {OUTPUT_DIR_MAX}."
        )
    rule = _RULE.fullmatch(line.output_dir)
    told = int(rule["model"]) if rule is not None else None
    if told not in models and len(models) != 1:
        why = "several models may have made it" if models else "FacemapModel holds no model"
        return _ambiguous(found, f"It doesn't say which model made it, and {why}: insert the row yourself.")
    model = told if told is not None and told in models else models[0]
    found = found.model_copy(update={"task_id": model})
    for task in recording.tasks:
        if task.task_id == model:
            return _known(found, task)
    other = proposed.setdefault((id(recording), model), line.output_dir)
    if other != line.output_dir:
        return _ambiguous(found, f"A recording has one task with model {model}, and {other} holds its keypoints, too.")
    return found.model_copy(update={"end": OutputEnd.NEW})


def _known(line: OutputLine, task: TaskOutput) -> OutputLine:
    what = "its outputs are imported" if task.mode == "load" else "it is computed (task_mode='trigger')"
    sentence = f"The task with model {task.task_id}: {what}."
    return line.model_copy(update={"end": OutputEnd.KNOWN, "task_id": task.task_id, "sentence": sentence})


def _loading(recording: KnownRecording, folder: str) -> TaskOutput | None:
    """Return the task that loads from a folder."""
    return next((task for task in recording.tasks if loads_from(task, folder)), None)


def _ambiguous(line: OutputLine, sentence: str) -> OutputLine:
    return line.model_copy(update={"end": OutputEnd.AMBIGUOUS, "task_id": None, "sentence": sentence})


def _is_of(recording: KnownRecording, number: int, folder: str) -> bool:
    """Whether an output's folder is its video's, or one that the Element's rule names."""
    rule = _RULE.fullmatch(folder)
    if rule is None:
        return is_near(recording.paths[number], folder)
    if recording.key.get("recording_id") != int(rule["recording"]):
        return False
    return is_near(recording.paths[number], rule["folder"], folder)


def _stem(path: str) -> str:
    return PurePosixPath(base_name(path)).stem
