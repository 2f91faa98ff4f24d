"""A task with ``task_mode='load'`` -> the existing Facemap output that is imported for it."""

from __future__ import annotations

from pathlib import PurePosixPath

from fmdj_cloud import names
from fmdj_cloud.contracts import Engine, Estimate, Kind, Limits, RunPlan, TaskRecord, VideoRef
from fmdj_cloud.control.places import PlannedRun, file_ref, find_video, output_dir, run_folder, video_refs
from fmdj_cloud.control.views import base_name, group_views
from fmdj_cloud.errors import InputError, InputMissingError, ObjectMissingError
from fmdj_cloud.settings import PipelineSettings, Settings
from fmdj_cloud.storage import uri as uris
from fmdj_cloud.storage.base import ObjectInfo, Store
from fmdj_cloud.storage.roots import candidates

SUFFIX = "_proc.npy"
_MIB = 1 << 20
_START_S = 10.0
_BYTES_PER_S = 20e6
"""Fetching, hashing, converting and counting frames, on the large side."""
_MEMORY_MIB = 1024
_SCRATCH_MIB = 1024
_MIN_BUDGET_S = 1800.0


def plan_import(task: TaskRecord, pipeline: PipelineSettings, store: Store, settings: Settings) -> PlannedRun:
    """Plan a task whose outputs exist already.

    They are looked for in the row's ``facemap_output_dir``, then where the Element's rule puts them. The
    videos, where they are there, tell whether the output covers all their frames.

    Parameters
    ----------
    task : TaskRecord
    pipeline : PipelineSettings
    store : Store
        Asked for what lies in these folders.
    settings : Settings

    Raises
    ------
    InputMissingError
        If there is no output (yet).
    InputError
        If it can't be told which of several is meant (check ``output``), or the task's files can't be used.
    """
    grouping, notes = group_views(task)
    paths = dict(task.files)
    first_path = paths[grouping[0][0]]
    infos: dict[int, ObjectInfo] = {}
    try:
        infos = {file_id: find_video(paths[file_id], pipeline, store) for row in grouping for file_id in row}
        first_video = infos[grouping[0][0]].uri
    except InputMissingError as error:
        first_video = candidates(first_path, video_roots=pipeline.video_roots, path_map=pipeline.path_map)[0]
        notes += (f"{error.sentence} The output is imported without a look at the videos.",)
        infos = {}
    rule = uris.join(pipeline.processed_root, output_dir(task.task_id, first_video, pipeline))
    stem = PurePosixPath(base_name(first_path)).stem
    found = find_output([*_given(task, pipeline), rule], stem, store)
    videos = video_refs(grouping, infos) if infos else ()
    imports = (file_ref(found, base_name(found.uri)),)
    content = names.content_digest(Kind.IMPORT, Engine.FACEMAP, videos, None, imports)
    run_id = names.run_id(Kind.IMPORT, task.task_digest, content)
    estimate = _estimate(task, videos, found.size, settings)
    plan = RunPlan(
        videos=videos,
        imports=imports,
        limits=_limits(estimate, settings),
        estimate=estimate,
        notes=(f"Imports {found.uri}.", *notes),
    )
    return PlannedRun(run_id, content, plan, run_folder(rule, run_id, pipeline.processed_root))


def find_output(folders: list[str], stem: str, store: Store) -> ObjectInfo:
    """Return the ``_proc.npy`` in the first folder that holds one.

    Parameters
    ----------
    folders : list of str
        URIs, the first to look at first.
    stem : str
        Of the first video: Facemap names its file after it.
    store : Store

    Raises
    ------
    InputMissingError
        If there is none; the sentence names all places.
    InputError
        If a folder holds several, and none is called after the video (check ``output``).
    """
    folders = list(dict.fromkeys(folders))
    for folder in folders:
        try:
            return store.head(uris.join(folder, f"{stem}{SUFFIX}"))
        except ObjectMissingError:
            pass
        lying = [info for info in store.list(folder) if _lies_in(info.uri, folder)]
        if len(lying) == 1:
            return store.head(lying[0].uri)  # a listing knows neither version nor checksum
        if lying:
            there = ", ".join(sorted(base_name(info.uri) for info in lying))
            raise InputError(
                f"{folder} holds several Facemap outputs ({there}) and none is called {stem}{SUFFIX}, after the first "
                "video: leave the right one there, or name its folder in facemap_output_dir.",
                check="output",
            )
    raise InputMissingError(
        f"There is no Facemap output for the task: looked for {stem}{SUFFIX} in {', '.join(folders)}. Upload it there, "
        "correct facemap_output_dir, or set task_mode='trigger' to have it computed.",
        check="output",
    )


def _given(task: TaskRecord, pipeline: PipelineSettings) -> list[str]:
    """Return the folder that the row names, if it does."""
    given = task.output_dir.rstrip("/\\")
    if not given:
        return []
    return candidates(given, video_roots=(pipeline.processed_root,), path_map=pipeline.path_map)


def _lies_in(uri: str, folder: str) -> bool:
    name = uris.relative(uri, folder)
    return name is not None and "/" not in name and name.endswith(SUFFIX)


def _estimate(
    task: TaskRecord, videos: tuple[tuple[VideoRef, ...], ...], output_bytes: int, settings: Settings
) -> Estimate:
    info = task.recording_info
    total = output_bytes + sum(video.size for row in videos for video in row)
    memory = _MEMORY_MIB + 3 * output_bytes // _MIB
    scratch = _SCRATCH_MIB + (total + 2 * output_bytes) // _MIB
    return Estimate(
        frames=info.nframes if info else 0,
        height=info.height if info else 0,
        width=info.width if info else 0,
        seconds=round(_START_S + total / _BYTES_PER_S, 1),
        memory_mib=min(memory, settings.controller.memory_cap_mib),
        scratch_mib=min(scratch, settings.controller.scratch_cap_mib),
        source="RecordingInfo" if info else "guess",
    )


def _limits(estimate: Estimate, settings: Settings) -> Limits:
    worker = settings.worker
    return Limits(
        time_budget_s=max(_MIN_BUDGET_S, 4 * estimate.seconds),
        memory_mib=estimate.memory_mib,
        scratch_mib=estimate.scratch_mib,
        threads=worker.threads,
        max_missing_frames=worker.max_missing_frames,
        max_view_mismatch_frames=worker.max_view_mismatch_frames,
        max_bad_frames=worker.max_bad_frames,
    )
