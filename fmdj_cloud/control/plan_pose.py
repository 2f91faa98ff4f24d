"""A task of pose inference -> what is computed, where it goes and what it needs."""

from __future__ import annotations

from collections.abc import Sequence

from fmdj_cloud import names
from fmdj_cloud.contracts import Engine, Kind, ModelRecord, PoseParams, RecordingInfo, RunPlan, TaskRecord
from fmdj_cloud.control.estimate import FileFacts, first_limits, measure
from fmdj_cloud.control.estimate_pose import estimate_pose
from fmdj_cloud.control.models import Models, weights_of
from fmdj_cloud.control.params_pose import Size, check_boxes, parse_pose
from fmdj_cloud.control.places import PlannedRun, find_video, header_of, output_dir, run_folder, video_refs
from fmdj_cloud.control.profiles import gpus_for
from fmdj_cloud.errors import ConfigError, InputError
from fmdj_cloud.names import display_key
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.settings import PipelineSettings, Settings
from fmdj_cloud.storage import uri as uris
from fmdj_cloud.storage.base import Store


def plan_pose(
    task: TaskRecord, pipeline: PipelineSettings, store: Store, settings: Settings, models: Models | None
) -> PlannedRun:
    """Plan a task of pose inference with ``task_mode='trigger'``.

    The model comes last: nothing is put into the store for a task that is refused.

    Parameters
    ----------
    task : TaskRecord
    pipeline : PipelineSettings
        Its roots.
    store : Store
        Asked for sizes, versions and container headers of the videos.
    settings : Settings
    models : Models or None
        Finds the model's weights.

    Raises
    ------
    InputMissingError
        If a video isn't there (yet).
    InputError
        If the task can't be run as it stands.
    LostRaceError
        If the model is being replaced at this moment.
    ConfigError, StorageError
        If the object store can't be asked.
    """
    asked, grouping, notes = parse_pose(task)
    model = _model(task)
    paths = dict(task.files)
    infos = {file_id: find_video(paths[file_id], pipeline, store) for row in grouping for file_id in row}
    output_uri = uris.join(pipeline.processed_root, output_dir(task, infos[grouping[0][0]].uri, pipeline))
    videos = video_refs(grouping, infos)
    # RecordingInfo has one size: of several views, it isn't said whose
    with_headers = task.recording_info is None or (bool(asked.bbox) and len(grouping[0]) > 1)
    facts = [[FileFacts(v.name, v.size, header_of(v, store) if with_headers else None) for v in row] for row in videos]
    check_boxes(asked.bbox, _sizes(facts, task.recording_info), exact=not with_headers)
    views, source = measure(facts, task.recording_info)
    if models is None:
        raise ConfigError(f"Pipeline {task.pipeline!r} has no models: set its inference_schema in the settings.")
    weights = models.ref(model)
    params = asked.model_copy(
        update={
            "model_uri": weights.uri,
            "model_sha256": weights.sha256,
            "precision": settings.worker.pose_precision,
        }
    )
    content = names.content_digest(Kind.POSE, Engine.FACEMAP, videos, params)
    run_id = names.run_id(Kind.POSE, task.task_digest, content)
    gpu = gpus_for(settings, Kind.POSE)
    estimate, estimate_notes = estimate_pose(
        views,
        source,
        body_parts=len(params.body_parts),
        video_bytes=sum(video.size for row in videos for video in row),
        model_bytes=weights.size,
        gpu=gpu,
        threads=settings.worker.threads,
        settings=settings.controller,
    )
    plan = RunPlan(
        videos=videos,
        pose=params,
        limits=first_limits(estimate, settings.controller, settings.worker).model_copy(update={"gpu": gpu}),
        estimate=estimate,
        notes=(*notes, *_notes(params, len(grouping[0]), gpu), *estimate_notes),
    )
    return PlannedRun(run_id, content, plan, run_folder(output_uri, run_id, pipeline.processed_root))


def _model(task: TaskRecord) -> ModelRecord:
    """Return the task's model, if it is declared to find what Facemap's networks find, and has weights."""
    model = task.model
    assert model is not None  # noqa: S101 - as parse_pose has seen
    missing = [part for part in BODY_PARTS if part not in model.body_parts]
    unknown = [part for part in model.body_parts if part not in BODY_PARTS]
    if missing or unknown:
        wrong = f"{', '.join(missing)} missing" if missing else f"{', '.join(unknown)} unknown to them"
        raise InputError(
            f"Model {model.name!r} ({display_key(model.key)}) is declared with {len(model.body_parts)} body parts and "
            f"Facemap's networks find {len(BODY_PARTS)}, {wrong}: correct FacemapModel.BodyPart.",
            check="model",
        )
    weights_of(model)
    return model


def _sizes(facts: Sequence[Sequence[FileFacts]], info: RecordingInfo | None) -> list[Size | None]:
    """Return height and width of every view, None where they aren't known."""
    if info is not None and len(facts[0]) == 1:
        return [(info.height, info.width)]
    return [None if file.header is None else (file.header.height, file.header.width) for file in facts[0]]


def _notes(params: PoseParams, views: int, gpu: int) -> list[str]:
    notes = [f"Keypoints of view {params.pose_view} are loaded, those of all {views} views published."] * (views > 1)
    notes += [] if gpu else ["The network computes on the CPU: profiles or controller.pose_gpu can give it a GPU."]
    return notes
