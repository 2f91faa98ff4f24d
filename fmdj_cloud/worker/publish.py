"""Outputs from scratch to the object store; the manifest, written last, is the commit."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

from fmdj_cloud.contracts import ManifestFile, RunSpec
from fmdj_cloud.storage import uri as uris
from fmdj_cloud.storage.base import Store
from fmdj_cloud.worker.handover import Desk
from fmdj_cloud.worker.stop import Stop

log = logging.getLogger(__name__)


def publish_outputs(
    store: Store, spec: RunSpec, nonce: str, desk: Desk, *, stop: Stop, role: str = ""
) -> tuple[ManifestFile, ...]:
    """Upload everything in the folder of outputs.

    Parameters
    ----------
    store : Store
    spec : RunSpec
    nonce : str
        Name of this pod's folder.
    desk : Desk
    stop : Stop
        Asked with every part that leaves.
    role : str
        Of all files; empty for what each is by its place.

    Returns
    -------
    tuple of ManifestFile
        Paths relative to the attempt folder.
    """
    return tuple(
        _upload(store, spec, nonce, path, path.relative_to(desk.outputs).as_posix(), role or _role(path, desk), stop)
        for path in _files(desk.outputs)
    )


def publish_log(store: Store, spec: RunSpec, nonce: str, desk: Desk, *, stop: Stop) -> ManifestFile:
    """Upload the log as it is now; it must not grow any more."""
    return _upload(store, spec, nonce, desk.log, "run.log", "log", stop)


def _upload(store: Store, spec: RunSpec, nonce: str, path: Path, relative: str, role: str, stop: Stop) -> ManifestFile:
    def progress(done: int, total: int) -> None:
        stop.check()

    stop.check()
    where = f"{nonce}/{relative}"
    sha256 = _sha256(path)
    info = store.upload(path, uris.join(spec.attempt_uri, where), progress=progress)
    return ManifestFile(path=where, role=role, size=info.size, sha256=sha256)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _role(path: Path, desk: Desk) -> str:
    return "signals" if path == desk.signals else "facemap"
