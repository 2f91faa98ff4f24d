"""A task with ``task_mode='load'`` -> the existing Facemap outputs that are imported for it."""

from __future__ import annotations

from fmdj_cloud import names
from fmdj_cloud.contracts import Engine, Estimate, Kind, Limits, PoseParams, RunPlan, TaskRecord, VideoRef
from fmdj_cloud.control.existing import VideoPlace, find_keypoints, find_proc
from fmdj_cloud.control.params_pose import parse_pose
from fmdj_cloud.control.places import PlannedRun, find_video, output_dir, run_folder, video_refs
from fmdj_cloud.control.views import Grouping, group_views
from fmdj_cloud.errors import InputMissingError
from fmdj_cloud.settings import PipelineSettings, Settings
from fmdj_cloud.storage import uri as uris
from fmdj_cloud.storage.base import ObjectInfo, Store
from fmdj_cloud.storage.roots import candidates

_MIB = 1 << 20
_START_S = 10.0
_BYTES_PER_S = 20e6
"""Fetching, hashing, converting and counting frames, on the large side."""
_MEMORY_MIB = 1024
_SCRATCH_MIB = 1024
_MIN_BUDGET_S = 1800.0


def plan_import(task: TaskRecord, pipeline: PipelineSettings, store: Store, settings: Settings) -> PlannedRun:
    """Plan a task whose outputs exist already.

    They are looked for in the folder that the row names, then where the Element's rule puts them; keypoints then
    beside their video, where Facemap writes them. The videos, where they are there, tell whether the output covers
    all their frames.

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
    asked, grouping, notes = _asked(task)
    paths = dict(task.files)
    infos: dict[int, ObjectInfo] = {}
    try:
        infos = {file_id: find_video(paths[file_id], pipeline, store) for row in grouping for file_id in row}
    except InputMissingError as error:
        notes += (f"{error.sentence} The output is imported without a look at the videos.",)
    places = [[_place(paths[file_id], infos.get(file_id), pipeline) for file_id in row] for row in grouping]
    rule = uris.join(pipeline.processed_root, output_dir(task, places[0][0].uri, pipeline))
    folders = [*_given(task, pipeline), rule]
    if asked is None:
        imports = find_proc(folders, places[0][0], store)
    else:
        imports = find_keypoints(folders, [row[asked.pose_view] for row in places], store)
    videos = video_refs(grouping, infos) if infos else ()
    content = names.content_digest(Kind.IMPORT, Engine.FACEMAP, videos, asked, imports)
    run_id = names.run_id(Kind.IMPORT, task.task_digest, content)
    estimate = _estimate(task, videos, sum(ref.size for ref in imports), settings)
    plan = RunPlan(
        videos=videos,
        imports=imports,
        pose=asked,
        limits=_limits(estimate, settings),
        estimate=estimate,
        notes=(*(f"Imports {ref.uri}." for ref in imports), *notes),
    )
    return PlannedRun(run_id, content, plan, run_folder(rule, run_id, pipeline.processed_root))


def _asked(task: TaskRecord) -> tuple[PoseParams | None, Grouping, tuple[str, ...]]:
    """Return what is asked for of pose inference, the grouping of files, and what to say."""
    if task.kind is Kind.POSE:
        return parse_pose(task)
    return (None, *group_views(task))


def _place(path: str, info: ObjectInfo | None, pipeline: PipelineSettings) -> VideoPlace:
    if info is not None:
        return VideoPlace(path, info.uri)
    return VideoPlace(path, candidates(path, video_roots=pipeline.video_roots, path_map=pipeline.path_map)[0])


def _given(task: TaskRecord, pipeline: PipelineSettings) -> list[str]:
    """Return the folder that the row names, if it does."""
    given = task.output_dir.rstrip("/\\")
    if not given:
        return []
    return candidates(given, video_roots=(pipeline.processed_root,), path_map=pipeline.path_map)


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
