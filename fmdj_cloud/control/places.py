"""Where a task's videos lie, and where its run goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fmdj_cloud import names
from fmdj_cloud.contracts import Kind, RunPlan, TaskRecord, VideoRef
from fmdj_cloud.control.headers import VideoHeader, read_header
from fmdj_cloud.control.views import Grouping, base_name
from fmdj_cloud.errors import InputError
from fmdj_cloud.settings import PipelineSettings
from fmdj_cloud.storage import uri as uris
from fmdj_cloud.storage.base import ObjectInfo, Store
from fmdj_cloud.storage.roots import resolve

OUTPUT_DIR_MAX = 255
"""Characters that the Element's ``facemap_output_dir`` holds."""


@dataclass(frozen=True)
class PlannedRun:
    """A task that can be run.

    Attributes
    ----------
    run_id : str
    content_digest : str
    plan : RunPlan
    output_dir_uri : str
        Folder of the run: ``<processed root>/<output dir>/<run_id>``.
    """

    run_id: str
    content_digest: str
    plan: RunPlan
    output_dir_uri: str


def find_video(path: str, pipeline: PipelineSettings, store: Store) -> ObjectInfo:
    """Return the object that a ``file_path`` means.

    Raises
    ------
    InputMissingError
        If it isn't there (yet).
    InputError
        If it lies outside the roots, or is empty.
    """
    info = resolve(path, video_roots=pipeline.video_roots, path_map=pipeline.path_map, store=store)
    if info.size == 0:
        raise InputError(f"The video {info.uri} is empty (0 bytes): upload it again.", check="readable")
    return info


def output_dir(task: TaskRecord, first_video: str, pipeline: PipelineSettings) -> str:
    """Return the Element's rule for a task's outputs, relative to the root that holds the video.

    It is ``<video dir>/facemap_<task id>``, and ``<video dir>/facemap_recordingid<r>_model<m>`` for pose inference.

    Raises
    ------
    InputError
        If no root holds it.
    """
    for root in (*pipeline.video_roots, *pipeline.path_map.values()):
        path = uris.relative(first_video, root)
        if path is not None:
            folder = path.rpartition("/")[0]
            return f"{folder}/{_rule(task)}" if folder else _rule(task)
    raise InputError(f"{first_video!r} lies outside the pipeline's roots: add its folder to video_roots.", check="path")


def _rule(task: TaskRecord) -> str:
    if task.kind is Kind.POSE:
        return f"facemap_recordingid{task.key['recording_id']}_model{task.task_id}"
    return f"facemap_{task.task_id}"


def header_of(video: VideoRef, store: Store) -> VideoHeader | None:
    """Return what a video's container says of it, None where that can't be read."""

    def read(offset: int, length: int) -> bytes:
        return store.get_bytes(video.uri, max_bytes=length, if_match=video.etag, byte_range=(offset, offset + length))

    return read_header(read, video.size)


def run_folder(output_dir_uri: str, run_id: str, processed_root: str) -> str:
    """Return the URI of a run's folder.

    Raises
    ------
    InputError
        If what would stand in ``facemap_output_dir`` doesn't fit there.
    """
    folder = uris.join(output_dir_uri, run_id)
    last = names.attempt_folder(folder, names.ATTEMPT_MAX)
    longest = f"{uris.relative(last, processed_root)}/{'x' * names.NONCE_MAX}/facemap/main"
    if len(longest) > OUTPUT_DIR_MAX:
        raise InputError(
            f"facemap_output_dir would have up to {len(longest)} characters and the Element holds {OUTPUT_DIR_MAX}: "
            "shorten the names of the video's folders.",
            check="output_dir",
        )
    return folder


def file_ref(info: ObjectInfo, name: str) -> VideoRef:
    """Return an object as a run refers to it, under the name that it gets on scratch."""
    return VideoRef(
        uri=info.uri, name=name, size=info.size, etag=info.etag, version_id=info.version_id, sha256=info.sha256
    )


def video_refs(grouping: Grouping, infos: Mapping[int, ObjectInfo]) -> tuple[tuple[VideoRef, ...], ...]:
    """Return the videos under names that no two share: Facemap's outputs are called after them."""
    plain = {file_id: base_name(info.uri) for file_id, info in infos.items()}
    if len({name.casefold() for name in plain.values()}) < len(plain):
        plain = {file_id: f"file{file_id}_{name}" for file_id, name in plain.items()}
    return tuple(tuple(file_ref(infos[file_id], plain[file_id]) for file_id in row) for row in grouping)
