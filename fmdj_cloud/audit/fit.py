"""Whether a file may be loaded at all: a repair asks what the loader asks."""

from __future__ import annotations

import datetime as dt

from fmdj_cloud.audit.files import OpenFiles
from fmdj_cloud.contracts import Kind, Manifest, TaskRecord
from fmdj_cloud.load.check import check_keypoints, check_signals, require
from fmdj_cloud.settings import LoadSettings
from fmdj_cloud.signals_h5 import SignalsReader

_NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def require_fit(signals: SignalsReader, files: OpenFiles, task: TaskRecord, view: int, limits: LoadSettings) -> None:
    """Raise if quality control would keep a file from being loaded.

    Parameters
    ----------
    signals : SignalsReader
    files : OpenFiles
        Whose it is.
    task : TaskRecord
    view : int
        Whose points are loaded.
    limits : LoadSettings

    Raises
    ------
    LoadError
        If a check fails that nobody has accepted.
    """
    manifest = files.manifest or _made_up(signals, task.kind)
    if task.kind is not Kind.POSE:
        params = None if files.spec is None else files.spec.svd
        require(check_signals(signals, manifest, params, limits, files.accepted))
        return
    declared = signals.body_parts(view) if task.model is None else task.model.body_parts
    require(check_keypoints(signals, manifest, view, declared, limits, files.accepted))


def _made_up(signals: SignalsReader, kind: Kind) -> Manifest:
    """Return the manifest of files that no run of ours has made: it knows no more than they do."""
    return Manifest(
        run_id=signals.run_id,
        attempt=0,
        kind=kind,
        nonce="",
        spec_sha256="",
        content_digest="",
        files=(),
        nframes=signals.nframes,
        views=(),
        versions={},
        device="",
        threads=0,
        timings_s={},
        signals=(),
        started=_NEVER,
        finished=_NEVER,
    )
