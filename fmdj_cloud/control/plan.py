"""A task -> what is computed, where it goes and what it needs: the first time the object store is asked."""

from __future__ import annotations

from functools import partial

from fmdj_cloud import names
from fmdj_cloud.contracts import Basis, Engine, Kind, RunPlan, SvdParams, TaskRecord
from fmdj_cloud.control.estimate import FileFacts, estimate_svd, first_limits, measure
from fmdj_cloud.control.estimate_turbo import estimate_turbo
from fmdj_cloud.control.models import Models
from fmdj_cloud.control.params import parse_params
from fmdj_cloud.control.places import PlannedRun, find_video, header_of, output_dir, run_folder, video_refs
from fmdj_cloud.control.plan_import import plan_import
from fmdj_cloud.control.plan_pose import plan_pose
from fmdj_cloud.control.profiles import gpus_for
from fmdj_cloud.control.views import group_views
from fmdj_cloud.errors import InputError
from fmdj_cloud.settings import PipelineSettings, Settings
from fmdj_cloud.storage import uri as uris
from fmdj_cloud.storage.base import Store

__all__ = ["PlannedRun", "plan_task"]


def plan_task(
    task: TaskRecord,
    pipeline: PipelineSettings,
    store: Store,
    settings: Settings,
    *,
    engine: Engine | None = None,
    basis: Basis | None = None,
    models: Models | None = None,
) -> PlannedRun:
    """Plan a task of either task table: to be computed, or, with ``task_mode='load'``, imported.

    Parameters
    ----------
    task : TaskRecord
    pipeline : PipelineSettings
        Its roots.
    store : Store
        Only asked for sizes, versions and container headers of the videos.
    settings : Settings
    engine : Engine, optional
        The pipeline's engine as the ledger has stored it; the setting by default.
    basis : Basis, optional
        Likewise, of the engine turbo.
    models : Models, optional
        Finds the weights for pose inference.

    Raises
    ------
    InputMissingError
        If a video isn't there (yet).
    InputError
        If the task can't be run as it stands.
    LostRaceError
        If the task's model is being replaced at this moment.
    StorageError, ConfigError
        If the object store can't be asked.
    """
    if task.mode == "load":
        return plan_import(task, pipeline, store, settings)
    if task.kind is Kind.POSE:
        return plan_pose(task, pipeline, store, settings, models)
    engine = settings.controller.engine if engine is None else engine
    if engine is not Engine.TURBO:
        basis = Basis.EXACT  # others have none to choose
    basis = settings.controller.basis if basis is None else basis
    params, notes = parse_params(task)
    grouping, view_notes = group_views(task)
    _check_views(params, len(grouping[0]))
    paths = dict(task.files)
    infos = {file_id: find_video(paths[file_id], pipeline, store) for row in grouping for file_id in row}
    output_uri = uris.join(pipeline.processed_root, output_dir(task, infos[grouping[0][0]].uri, pipeline))
    videos = video_refs(grouping, infos)
    content = names.content_digest(task.kind, engine, videos, params, basis=basis)
    run_id = names.run_id(task.kind, task.task_digest, content)
    folder = run_folder(output_uri, run_id, pipeline.processed_root)
    needs_headers = task.recording_info is None
    facts = [[FileFacts(v.name, v.size, header_of(v, store) if needs_headers else None) for v in row] for row in videos]
    views, source = measure(facts, task.recording_info)
    video_bytes = sum(video.size for row in videos for video in row)
    estimated = partial(estimate_turbo, basis=basis) if engine is Engine.TURBO else estimate_svd
    estimate, estimate_notes = estimated(params, views, source, video_bytes, settings.controller)
    gpu = gpus_for(settings, Kind.SVD) if engine is Engine.TURBO else 0
    plan = RunPlan(
        videos=videos,
        engine=engine,
        basis=basis,
        svd=params,
        limits=first_limits(estimate, settings.controller, settings.worker).model_copy(update={"gpu": gpu}),
        estimate=estimate,
        notes=(*notes, *view_notes, *estimate_notes),
    )
    return PlannedRun(run_id, content, plan, folder)


def _check_views(params: SvdParams, views: int) -> None:
    for number, roi in enumerate(params.rois):
        if roi.view >= views:
            raise InputError(
                f"ROI {number} ({roi.kind.value}) lies on view {roi.view} (ivid), but the recording has {views} "
                f"view{'s' if views > 1 else ''}, counted from 0: group the files with facemap_params['views'], or "
                "correct ivid.",
                check="rois",
            )
    if params.drawn_on is not None and len(params.drawn_on) != views:
        raise InputError(
            f"The ROIs were drawn on {len(params.drawn_on)} views (Ly, Lx), but the files make {views}: group them "
            "with facemap_params['views'], or draw the ROIs on this recording.",
            check="rois",
        )
