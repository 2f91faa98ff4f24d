"""A task as the lab's tables hold it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from fmdj_cloud.contracts.base import Frozen
from fmdj_cloud.contracts.words import Kind


class RecordingInfo(Frozen):
    """What the Element's RecordingInfo says of a recording."""

    height: int
    width: int
    nframes: int
    fps: float | None = None


class ModelFile(Frozen):
    """A file of a pose model, and where its bytes are."""

    file_id: int = 0
    """Its place among the model's files, in the order of their keys."""
    name: str
    """Base name of the attachment; of the object where it lies in an object store."""
    size: int | None = None
    """Bytes of the model itself, where that is known."""
    sha256: str = ""
    """Of the model itself, where that is known."""
    uri: str = ""
    """Of the object that holds it; empty for an attachment in the table."""
    wrapped: bool = False
    """Whether the object holds name, NUL and model, as DataJoint stores attachments, rather than the model alone."""
    problem: str = ""
    """Why its bytes can't be had: a task that needs it is refused with this sentence."""


class ModelRecord(Frozen):
    """A row of the Element's FacemapModel with its parts."""

    key: dict[str, Any]
    name: str
    body_parts: tuple[str, ...]
    """That it is declared to find, sorted."""
    files: tuple[ModelFile, ...]


class TaskRecord(Frozen):
    """A task row with what belongs to it, blobs decoded."""

    pipeline: str
    kind: Kind
    """Of the task table: ``svd`` for FacemapTask, ``pose`` for FacemapInferenceTask."""
    table: str
    """Class name of the task table."""
    key: dict[str, Any]
    task_digest: str
    param_digest: str
    mode: str
    """``trigger`` or ``load``."""
    output_dir: str
    """The row's output directory, empty where it has none."""
    task_id: int
    """``facemap_task_id``; the model's id for pose inference."""
    params: dict[str, Any] = Field(default_factory=dict)
    """``facemap_params`` as found: plain arguments of ``run`` or a whole proc dict."""
    params_problem: str = ""
    """Why `params` or `bbox` could not be read: such a task is refused with this sentence."""
    do_mot_svd: bool = False
    do_mov_svd: bool = False
    bbox: Any = None
    """Of pose inference, as found: see :func:`fmdj_cloud.contracts.read_bbox`."""
    model: ModelRecord | None = None
    """Of pose inference."""
    files: tuple[tuple[int, str], ...]
    """(file_id, file_path) of VideoRecording.File, by file_id."""
    recording_info: RecordingInfo | None = None
