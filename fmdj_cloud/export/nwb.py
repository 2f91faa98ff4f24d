"""One NWB file of the results of a recording."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pynwb import NWBHDF5IO, NWBFile
from pynwb.device import Device
from pynwb.image import ImageSeries

from fmdj_cloud.contracts import Kind, PoseParams, SvdParams, TaskRecord
from fmdj_cloud.control.params import parse_params
from fmdj_cloud.control.params_pose import parse_pose
from fmdj_cloud.control.views import Grouping, group_views
from fmdj_cloud.errors import InputError, UsageError
from fmdj_cloud.export.head import add_notes, lacks, new_file, object_name
from fmdj_cloud.export.iterators import Pieces
from fmdj_cloud.export.pose_nwb import PoseExport
from fmdj_cloud.export.provenance import Source, find_source
from fmdj_cloud.export.select import Exported
from fmdj_cloud.export.svd_nwb import add_svd
from fmdj_cloud.export.svd_rows import SvdRows
from fmdj_cloud.export.timing import Timing, contradiction, frame_rate, timing
from fmdj_cloud.export.traces_nwb import add_traces
from fmdj_cloud.export.videos import view_videos
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.result_rows import Rows
from fmdj_cloud.pipeline.session import SessionFacts, read_session
from fmdj_cloud.storage.base import OnBytes, Store

_CAMERA = "The camera of the recording."


@dataclass(frozen=True)
class NwbOptions:
    """What the database can't tell.

    Attributes
    ----------
    zone : tzinfo
        Of the lab's times.
    session_start : datetime or None
        In place of what the lab's tables say.
    rate : float or None
        Frames per second, in place of what RecordingInfo and the video say.
    videos : Path or None
        Folder that the paths of the videos are relative to.
    overwrite : bool
        Whether a file of that name may be replaced.
    metadata : Mapping
        From :func:`fmdj_cloud.export.metadata.read_metadata`; it wins over the database.
    slice_bytes : int
        Of masks or projections in memory at a time; a single trace of any kind is in memory as a whole.
    progress : OnBytes
        Told how many bytes of all arrays are written.
    """

    zone: dt.tzinfo = dt.UTC
    session_start: dt.datetime | None = None
    rate: float | None = None
    videos: Path | None = None
    overwrite: bool = False
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    slice_bytes: int = 64 << 20
    progress: OnBytes = lambda _done, _total: None


@dataclass(frozen=True)
class Written:
    """A file that was written.

    Attributes
    ----------
    path : Path
    nframes : int
    notes : tuple of str
        What was assumed, or left out, which stands in the file, too; and what archives will ask for.
    """

    path: Path
    nframes: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Asked:
    """What a task asks for, as far as it can be read."""

    kind: Kind
    task: TaskRecord
    params: SvdParams | PoseParams | None
    grouping: Grouping | None
    notes: tuple[str, ...]


def export_nwb(choice: Exported, ledger: Ledger, store: Store, out: Path, options: NwbOptions) -> Written:
    """Write the results of a recording as an NWB file.

    Parameters
    ----------
    choice : Exported
    ledger : Ledger
    store : Store
        Asked for manifests, which tell versions and repairs, and where videos lie.
    out : Path
        Written under another name beside it, then renamed.
    options : NwbOptions

    Raises
    ------
    UsageError
        If `out` is there already, or the file's time or rate isn't known.
    InputError
        If the rows aren't what their tables say.
    """
    if out.suffix != ".nwb":
        raise UsageError(f"{out} doesn't end in .nwb: give it a name that does, by which programs know the format.")
    if out.exists() and not options.overwrite:
        raise UsageError(f"{out} is there already: add --overwrite, or choose another name.")
    if not out.parent.is_dir():
        raise UsageError(f"There is no folder {out.parent}: make it first.")
    file, nframes, notes = _build(choice, ledger, store, out, options)
    _tell(file, options.progress)
    partial = out.with_name(f".{out.stem}.{uuid.uuid4().hex[:12]}.partial.nwb")
    try:
        with NWBHDF5IO(str(partial), mode="w") as io:
            io.write(file)
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    return Written(out, nframes, notes)


def _build(
    choice: Exported, ledger: Ledger, store: Store, out: Path, options: NwbOptions
) -> tuple[NWBFile, int, tuple[str, ...]]:
    lab = choice.lab
    asked = {kind: _ask(lab.tasks(kind).get(key), kind) for kind, key in choice.tasks}
    sources = {
        kind: find_source(lab, ledger, store, kind, key, _as_json(asked[kind].params)) for kind, key in choice.tasks
    }
    session = read_session(lab.element.database, lab.element.VideoRecording, choice.recording)
    clock = _clock(choice, session, sources, options)
    svd = SvdRows(lab, choice.svd, _svd_params(asked)) if choice.svd is not None else None
    pose = None
    if choice.pose is not None and lab.inference is not None:
        pose = PoseExport(lab.inference, choice.pose, lab.kept)
    lengths = [one.nframes for one in (svd, pose) if one is not None]
    notes = [*session.notes, *clock.notes, *(note for one in asked.values() for note in one.notes)]
    notes += [source.problem for source in sources.values() if source.problem]
    if len(set(lengths)) > 1:
        notes.append(f"The SVD has {lengths[0]} frames and the pose {lengths[1]}: `fmdj audit` tells which is wrong.")
    file = new_file(choice, session, clock, sources, options.metadata)
    device = file.create_device(name=object_name(session.device) or "camera", description=_CAMERA)
    videos: dict[Kind, dict[int, ImageSeries]] = {}
    for kind, length in zip(asked, lengths, strict=True):
        same = next((other for other in videos if asked[other].grouping == asked[kind].grouping), None)
        if same is not None:
            videos[kind] = videos[same]
            continue
        videos[kind], said = _add_videos(
            file, asked[kind], sources[kind], clock, device, choice, store, out, options, length, second=bool(videos)
        )
        notes += said
    behavior = file.create_processing_module(name="behavior", description="What Facemap found in the video.")
    if svd is not None:
        add_svd(behavior, svd, clock, sources[Kind.SVD], options.slice_bytes)
        add_traces(behavior, svd, clock, sources[Kind.SVD])
    if pose is not None:
        params = asked[Kind.POSE].params
        view = params.pose_view if isinstance(params, PoseParams) else 0
        video = videos[Kind.POSE].get(view)
        pose.add_to(behavior, clock, sources[Kind.POSE], view=view, video=video, device=device)
    add_notes(file, lab.name, tuple(sources.values()), tuple(notes))
    return file, lengths[0], (*notes, *lacks(file))


def _tell(file: NWBFile, progress: OnBytes) -> None:
    """Have all arrays tell when a piece of them is written."""
    values = (value for container in file.objects.values() for value in container.fields.values())
    arrays = {id(value): value for value in values if isinstance(value, Pieces)}
    total, done = sum(array.nbytes for array in arrays.values()), 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    for array in arrays.values():
        array.on_bytes = tell


def _ask(task: TaskRecord | None, kind: Kind) -> _Asked:
    if task is None:
        raise UsageError(f"The task was just deleted from the {kind.value} tasks: look again.")
    try:
        if kind is Kind.POSE:
            params, grouping, notes = parse_pose(task)
            return _Asked(kind, task, params, grouping, notes)
        grouping, notes = group_views(task)
    except InputError as error:
        return _Asked(kind, task, None, None, (f"{error.sentence} The videos are left out.",))
    try:
        return _Asked(kind, task, parse_params(task)[0], grouping, notes)
    except InputError as error:
        return _Asked(kind, task, None, grouping, (*notes, f"{error.sentence} Which view a ROI is in isn't told."))


def _svd_params(asked: dict[Kind, _Asked]) -> SvdParams | None:
    params = asked[Kind.SVD].params
    return params if isinstance(params, SvdParams) else None


def _as_json(params: SvdParams | PoseParams | None) -> dict[str, Any]:
    return {} if params is None else params.model_dump(mode="json", exclude_defaults=True)


def _clock(choice: Exported, session: SessionFacts, sources: dict[Kind, Source], options: NwbOptions) -> Timing:
    element = choice.lab.element
    rows = Rows(element.database, element.RecordingInfo, choice.recording)
    info = rows.one("fps", "nframes", "recording_duration", "recording_time") or {}
    fps, nframes, duration = (info.get(name) for name in ("fps", "nframes", "recording_duration"))
    views = [source.manifest.views for source in sources.values() if source.manifest is not None]
    video_fps = next((found[0].fps for found in views if found and found[0].fps), None)
    rate = options.rate or frame_rate(fps, nframes, duration, video_fps)
    start = options.session_start or session.start
    clock = timing(rate=rate, session_start=start, recording_start=info.get("recording_time"), zone=options.zone)
    problem = "" if options.rate else contradiction(fps, video_fps)
    return replace(clock, notes=(*clock.notes, problem)) if problem else clock


def _add_videos(
    file: NWBFile,
    asked: _Asked,
    source: Source,
    clock: Timing,
    device: Device,
    choice: Exported,
    store: Store,
    out: Path,
    options: NwbOptions,
    nframes: int,
    *,
    second: bool,
) -> tuple[dict[int, ImageSeries], tuple[str, ...]]:
    if asked.grouping is None:
        return {}, ()
    views, notes = view_videos(
        *(asked.task, asked.grouping, choice.lab.settings, store),
        out=out.absolute(),
        videos=None if options.videos is None else options.videos.absolute(),
        manifest=source.manifest,
        nframes=nframes,
    )
    found = {}
    for one in views:
        found[one.view] = ImageSeries(
            name=f"{'Pose' if second else 'Face'}VideoView{one.view}",
            external_file=list(one.files),
            starting_frame=list(one.starting_frames),
            format="external",
            num_samples=nframes,
            dimension=None if one.size is None else [one.size[1], one.size[0]],
            description=f"Video of view {one.view}, as files outside of this one.",
            device=device,
            rate=clock.rate,
            starting_time=clock.starting_time,
        )
        file.add_acquisition(found[one.view])
    return found, notes
