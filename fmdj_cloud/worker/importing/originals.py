"""The files that are imported: fetched, found again on scratch, and named where they lie."""

from __future__ import annotations

from pathlib import Path

from fmdj_cloud.contracts import ManifestFile, RunSpec
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.names import POSE_SUFFIX, pose_metadata
from fmdj_cloud.storage.base import Store
from fmdj_cloud.storage.verify import file_digest
from fmdj_cloud.worker.fetch import fetch_videos
from fmdj_cloud.worker.handover import Desk
from fmdj_cloud.worker.stop import Stop

_FOLDER = "imports"


def fetch_originals(store: Store, spec: RunSpec, desk: Desk, *, stop: Stop) -> tuple[ManifestFile, ...]:
    """Download the files that a spec imports, exactly as they were when it was planned.

    Parameters
    ----------
    store : Store
    spec : RunSpec
    desk : Desk
    stop : Stop

    Returns
    -------
    tuple of ManifestFile
        Each with its whole URI: the files stay where they lie.

    Raises
    ------
    ChangedError, InputMissingError, DiskFullError
        As :func:`~fmdj_cloud.worker.fetch.fetch_videos`.
    """
    as_videos = spec.model_copy(update={"videos": (spec.imports,)})
    (paths,) = fetch_videos(store, as_videos, desk.folder / _FOLDER, stop=stop)
    return tuple(
        ManifestFile(path=ref.uri, role="facemap", size=ref.size, sha256=file_digest(path))
        for ref, path in zip(spec.imports, paths, strict=True)
    )


def original(desk: Desk, spec: RunSpec) -> Path:
    """Return the ``_proc.npy`` on scratch.

    Raises
    ------
    ConfigError
        If the spec doesn't name exactly one file.
    """
    if len(spec.imports) != 1:
        raise ConfigError(f"The spec of {spec.run_id} names {len(spec.imports)} files to import: plan the run again.")
    return desk.folder / _FOLDER / spec.imports[0].name


def pose_originals(desk: Desk, spec: RunSpec) -> tuple[tuple[Path, Path | None], ...]:
    """Return every file with keypoints on scratch, with its metadata where there are any, in their order.

    Raises
    ------
    ConfigError
        If the spec doesn't name one for every sequential video.
    """
    names = [ref.name for ref in spec.imports]
    keypoints = [name for name in names if name.endswith(POSE_SUFFIX)]
    known = {*keypoints, *map(pose_metadata, keypoints)}
    if not keypoints or not known.issuperset(names) or len(keypoints) != (len(spec.videos) or len(keypoints)):
        raise ConfigError(
            f"The spec of {spec.run_id} names {len(keypoints)} files with keypoints for {len(spec.videos)} videos: "
            "plan the run again."
        )
    folder = desk.folder / _FOLDER
    return tuple(
        (folder / name, folder / pose_metadata(name) if pose_metadata(name) in names else None) for name in keypoints
    )
