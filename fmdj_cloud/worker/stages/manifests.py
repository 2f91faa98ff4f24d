"""The manifest of what a child has made."""

from __future__ import annotations

from fmdj_cloud.contracts import Manifest, ManifestFile
from fmdj_cloud.worker.handover import ChildResult
from fmdj_cloud.worker.pod import Pod, now


def manifest_of(pod: Pod, result: ChildResult, files: tuple[ManifestFile, ...], gui_file: str | None) -> Manifest:
    """Return the manifest of one pod's work.

    Parameters
    ----------
    pod : Pod
    result : ChildResult
    files : tuple of ManifestFile
    gui_file : str or None
        Path, as in `files`, of the file that the GUI would open.
    """
    return Manifest(
        **pod.identity.model_dump(),
        kind=pod.spec.kind,
        nonce=pod.nonce,
        files=files,
        gui_file=gui_file,
        nframes=result.nframes,
        views=result.views,
        versions=result.versions,
        device=result.device,
        threads=pod.spec.limits.threads,
        timings_s={**pod.timings.seconds, **result.timings_s},
        signals=result.signals,
        warnings=result.warnings,
        started=pod.started,
        finished=now(),
    )
