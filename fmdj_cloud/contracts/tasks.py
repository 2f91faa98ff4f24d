"""A task as the lab's tables hold it."""

from __future__ import annotations

from typing import Any

from fmdj_cloud.contracts.base import Frozen
from fmdj_cloud.contracts.words import Kind


class RecordingInfo(Frozen):
    """What the Element's RecordingInfo says of a recording."""

    height: int
    width: int
    nframes: int
    fps: float | None = None


class TaskRecord(Frozen):
    """A task row with what belongs to it, blobs decoded."""

    pipeline: str
    kind: Kind
    table: str
    """Class name of the task table."""
    key: dict[str, Any]
    task_digest: str
    param_digest: str
    mode: str
    """``trigger`` or ``load``."""
    output_dir: str
    """The row's ``facemap_output_dir``, empty where it has none."""
    task_id: int
    params: dict[str, Any]
    """``facemap_params`` as found: plain arguments of ``run`` or a whole proc dict."""
    params_problem: str = ""
    """Why `params` could not be read: such a task is refused with this sentence."""
    do_mot_svd: bool
    do_mov_svd: bool
    files: tuple[tuple[int, str], ...]
    """(file_id, file_path) of VideoRecording.File, by file_id."""
    recording_info: RecordingInfo | None = None
