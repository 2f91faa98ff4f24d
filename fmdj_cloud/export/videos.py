"""The videos of a recording, view by view, as a file refers to them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from fmdj_cloud.contracts import Manifest, TaskRecord
from fmdj_cloud.control.places import file_ref, find_video, header_of
from fmdj_cloud.control.views import Grouping, base_name
from fmdj_cloud.errors import InputError, StorageError
from fmdj_cloud.settings import PipelineSettings
from fmdj_cloud.storage.base import ObjectInfo, Store


@dataclass(frozen=True)
class ViewVideos:
    """The sequential files of one view.

    Attributes
    ----------
    view : int
    files : tuple of str
        Relative to the folder of the exported file, or URIs.
    starting_frames : tuple of int
        Frames before each file.
    size : (int, int) or None
        Height and width.
    """

    view: int
    files: tuple[str, ...]
    starting_frames: tuple[int, ...]
    size: tuple[int, int] | None


def view_videos(
    task: TaskRecord,
    grouping: Grouping,
    pipeline: PipelineSettings,
    store: Store,
    *,
    out: Path,
    videos: Path | None,
    manifest: Manifest | None,
    nframes: int,
) -> tuple[tuple[ViewVideos, ...], tuple[str, ...]]:
    """Return where the videos of every view are.

    Parameters
    ----------
    task : TaskRecord
    grouping : Grouping
        file_ids: outer sequential, inner simultaneous.
    pipeline : PipelineSettings
    store : Store
        Asked where they lie, and for headers where nothing else tells how many frames a file has.
    out : Path
        Of the exported file.
    videos : Path or None
        Folder that file paths are relative to; None refers to where the videos lie for the pipeline.
    manifest : Manifest or None
        Tells the decoded frames of every file.
    nframes : int
        Of all results.

    Returns
    -------
    videos : tuple of ViewVideos
        Without views whose files can't be put in their places in time.
    notes : tuple of str
    """
    paths = dict(task.files)
    found, notes = [], []
    for view, ids in enumerate(zip(*grouping, strict=True)):
        infos, problems = _infos([paths[file_id] for file_id in ids], pipeline, store, videos)
        notes += problems
        frames, size = _frames(view, infos, manifest, nframes, store)
        if frames is None:
            notes.append(f"The videos of view {view} are left out: nothing tells how many frames each file has.")
            continue
        files = tuple(_reference(paths[file_id], info, out, videos) for file_id, info in zip(ids, infos, strict=True))
        found.append(ViewVideos(view, files, (0, *accumulate(frames[:-1])), size))
    return tuple(found), tuple(notes)


def _infos(
    paths: Sequence[str], pipeline: PipelineSettings, store: Store, videos: Path | None
) -> tuple[list[ObjectInfo | None], list[str]]:
    infos: list[ObjectInfo | None] = []
    problems = []
    for path in paths:
        try:
            infos.append(find_video(path, pipeline, store))
        except (InputError, StorageError) as error:
            infos.append(None)
            if videos is None:
                problems.append(f"{error.sentence} The file refers to it as the lab wrote its path.")
        if videos is not None and not (videos / path).is_file():
            problems.append(f"There is no file {videos / path}, which the file refers to: readers need it there.")
    return infos, problems


def _reference(path: str, info: ObjectInfo | None, out: Path, videos: Path | None) -> str:
    if videos is not None:
        return os.path.relpath(videos / path, out.parent)
    if info is None:
        return path
    if info.uri.startswith("file://"):
        return os.path.relpath(info.uri.removeprefix("file://"), out.parent)
    return info.uri


def _frames(
    view: int, infos: Sequence[ObjectInfo | None], manifest: Manifest | None, nframes: int, store: Store
) -> tuple[tuple[int, ...] | None, tuple[int, int] | None]:
    told = manifest.views[view] if manifest is not None and view < len(manifest.views) else None
    if told is not None and len(told.frames) == len(infos):
        return told.frames, (told.height, told.width)
    headers = [None if info is None else header_of(file_ref(info, base_name(info.uri)), store) for info in infos]
    first = headers[0]
    size = None if first is None else (first.height, first.width)
    if len(infos) == 1:
        return (nframes,), size
    counts = tuple(0 if header is None else header.frames for header in headers)
    return (counts, size) if all(counts) and sum(counts) == nframes else (None, size)
