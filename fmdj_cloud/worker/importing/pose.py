"""Files with keypoints -> signals.h5."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fmdj_cloud.contracts import BBox, Frozen, Kind, Origin, SignalOrigin
from fmdj_cloud.errors import InputError
from fmdj_cloud.signals_h5 import PoseInfo, SignalsWriter
from fmdj_cloud.worker.importing.imported import Imported
from fmdj_cloud.worker.importing.pose_h5 import Points, read_points
from fmdj_cloud.worker.importing.pose_metadata import PoseMetadata, read_metadata
from fmdj_cloud.worker.svd.geometry import Size

_OUTSIDE = 0.5
"""Share of points that lie far outside of the picture. Some lie near it, where a margin was added to make it square,
and a bad network puts some anywhere."""


class PoseFile(Frozen):
    """The keypoints of one video file."""

    points: str
    """Path of the ``_FacemapPose.h5``."""
    metadata: str = ""
    """Path of its metadata, empty where there are none."""
    frames: int | None = None
    """Frames of the video that count; None where it isn't there."""
    known: tuple[int, ...] = ()
    """Numbers of frames that a file of this video may have: those that its header claims, and those that it has."""


class PoseJob(Frozen):
    """The keypoints of a view, file by file in the order in which they follow each other."""

    files: tuple[PoseFile, ...]
    body_parts: tuple[str, ...]
    view: int = 0
    bbox: BBox | None = None
    """Part of the frame that the task says was looked at."""
    size: Size | None = None
    """Of the view, where its video is there."""
    max_bad_frames: int
    accept: tuple[str, ...] = ()


def convert_pose(job: PoseJob, signals: Path, *, run_id: str, fps: float) -> Imported:
    """Write files with keypoints as signals.h5.

    Parameters
    ----------
    job : PoseJob
    signals : Path
        New file.
    run_id : str
    fps : float
        Frames per second, 0 where unknown.

    Raises
    ------
    InputError
        Checks ``import_file``, ``import_content``, ``import_size``, ``import_frames``, ``body_parts``,
        ``bad_frames``, ``flat``.
    """
    body_parts = tuple(sorted(job.body_parts))
    found = [_File(file, body_parts, job) for file in job.files]
    points = np.concatenate([file.points for file in found])
    names = ", ".join(file.name for file in found)
    warnings = [warning for file in found for warning in file.warnings]
    warnings += _empty(names, points, job)
    if job.size is not None:
        _check_inside(names, points, job.size)
    metadata = [file.metadata for file in found if file.metadata is not None]
    box = next((known.bbox for known in metadata if known.bbox is not None), job.bbox)
    if job.bbox is not None and box != job.bbox:
        warnings.append(f"{names}: Facemap looked at {box}, and the task's bbox says {job.bbox}: the file is right.")
    note = f"view {job.view}: found by Facemap elsewhere"
    with SignalsWriter(signals, kind=Kind.IMPORT, run_id=run_id, nframes=len(points), fps=fps) as writer:
        writer.pose(
            PoseInfo(
                view=job.view,
                origin=Origin.IMPORT,
                batch_size=max((known.batch_size for known in metadata), default=0),
                precision="",
                bbox=_edges(box, job.size),
                note=note,
            )
        )
        for place, part in enumerate(body_parts):
            writer.keypoints(job.view, part, points[:, place])
    return Imported(
        nframes=len(points),
        signals=(SignalOrigin(signal="pose", origin=Origin.IMPORT, note=note),),
        warnings=tuple(warnings),
        seconds=_seconds(found),
    )


class _File:
    """One file, read and compared with what is known of it."""

    def __init__(self, file: PoseFile, body_parts: tuple[str, ...], job: PoseJob) -> None:
        self.name = Path(file.points).name
        self.warnings: list[str] = []
        self.metadata = read_metadata(Path(file.metadata)) if file.metadata else None
        points = read_points(Path(file.points), body_parts)
        self.computed = len(points)
        if self.metadata is not None:
            self._compare(self.metadata, body_parts, len(points), job.size)
        if len(points) > 1 and "flat" not in job.accept:
            self._check_moves(points)
        self.points = self._that_count(points, file)

    def _compare(self, metadata: PoseMetadata, body_parts: tuple[str, ...], frames: int, size: Size | None) -> None:
        told = metadata.frames if metadata.frames is not None else frames
        if told != frames or (metadata.body_parts and set(metadata.body_parts) != set(body_parts)):
            raise InputError(
                f"{self.name} has {frames} frames of {len(body_parts)} body parts and its metadata tell of {told} "
                f"frames of {len(metadata.body_parts)}: the two belong to different runs; upload both again, or remove "
                "the metadata.",
                check="import_content",
            )
        if size is not None and metadata.sizes and size not in metadata.sizes:
            of = " and ".join(f"{x}x{y}" for y, x in metadata.sizes[:3])
            raise InputError(
                f"{self.name} was computed from video of {of} and this view is {size[1]}x{size[0]} pixels: it belongs "
                "to another recording, or to another view (pose_view).",
                check="import_size",
            )

    def _check_moves(self, points: Points) -> None:
        """Refuse what Facemap writes for every view but the first: the points of frame 0, again and again."""
        if np.array_equal(points, np.broadcast_to(points[:1], points.shape)):
            raise InputError(
                f"{self.name} has the same points in all of its {len(points)} frames: for a second simultaneous view "
                "Facemap writes those of the first frame again and again; set task_mode='trigger' to compute it, or "
                "accept the check flat if nothing moves.",
                check="flat",
            )

    def _that_count(self, points: Points, file: PoseFile) -> Points:
        frames = len(points)
        if file.frames is None or frames == file.frames:
            return points
        if frames not in file.known:
            raise InputError(
                f"{self.name} has {frames} frames and its video has {file.frames} that count: it belongs to another "
                "video; set task_mode='trigger' to compute it.",
                check="import_frames",
            )
        self.warnings.append(f"{self.name} has {frames} frames, of which the first {file.frames} count.")
        return points[: file.frames]


def _empty(names: str, points: Points, job: PoseJob) -> list[str]:
    """Leave what is no number empty, as an inference of ours does, and return what is to be said of it."""
    none = ~np.isfinite(points).all(-1)
    points[none] = (np.nan, np.nan, 0)
    empty = int(np.count_nonzero(none.all(-1)))
    if empty > job.max_bad_frames and "bad_frames" not in job.accept:
        raise InputError(
            f"{names} holds {empty} of {len(points)} frames without any point, and at most {job.max_bad_frames} may "
            "be: look at the video; if it is as good as it gets, accept the check bad_frames.",
            check="bad_frames",
        )
    single = int(np.count_nonzero(none)) - empty * none.shape[1]
    told = f"{empty} frame(s) hold no point" if empty else ""
    more = f"{single} point(s) in other frames are no numbers" if single else ""
    words = " and ".join(filter(None, (told, more)))
    return [f"{names}: {words}: x and y are NaN there, the likelihood is 0."] if words else []


def _check_inside(names: str, points: Points, size: Size) -> None:
    height, width = size
    beyond = max(size)
    x, y = points[..., 0], points[..., 1]
    known = np.isfinite(x)
    outside = known & ~((abs(x - width / 2) <= width / 2 + beyond) & (abs(y - height / 2) <= height / 2 + beyond))
    if np.count_nonzero(outside) > _OUTSIDE * np.count_nonzero(known):
        raise InputError(
            f"{names} holds {np.count_nonzero(outside)} of {np.count_nonzero(known)} points far outside of this "
            f"view's {width}x{height} pixels: it belongs to another recording, or to another view (pose_view).",
            check="import_size",
        )


def _edges(box: BBox | None, size: Size | None) -> tuple[int, ...]:
    if box is not None:
        return box.y0, box.y1, box.x0, box.x1
    return (0, size[0], 0, size[1]) if size is not None else ()


def _seconds(found: Sequence[_File]) -> float:
    """Return how long Facemap took, if every file says it."""
    speeds = [file.metadata.frames_per_s if file.metadata is not None else 0.0 for file in found]
    if not all(speeds):
        return 0.0
    return sum(file.computed / speed for file, speed in zip(found, speeds, strict=True))
