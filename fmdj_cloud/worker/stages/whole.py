"""An attempt in one piece."""

from __future__ import annotations

import logging

from fmdj_cloud.contracts import RunSpec
from fmdj_cloud.storage.manifests import commit_manifest
from fmdj_cloud.worker.fetch import fetch_videos
from fmdj_cloud.worker.importing.originals import fetch_originals
from fmdj_cloud.worker.pod import Pod
from fmdj_cloud.worker.pose.desk import fetch_for_pose
from fmdj_cloud.worker.stages.manifests import manifest_of

log = logging.getLogger(__name__)


def compute_whole(pod: Pod) -> str:
    """Do everything; return the manifest's SHA-256."""
    with pod.timings.of("fetch"):
        videos = fetch_videos(pod.store, pod.spec, pod.desk.videos, stop=pod.stop)
        originals = fetch_originals(pod.store, pod.spec, pod.desk, stop=pod.stop)
        fetch_for_pose(pod.store, pod.spec, pod.desk, stop=pod.stop)
    log.info("%d video(s) fetched in %.1f s", sum(map(len, videos)), pod.timings.seconds["fetch"])
    result = pod.compute(videos=tuple(tuple(str(path) for path in row) for row in videos))
    files = originals + pod.publish()
    gui_file = f"{pod.nonce}/{result.gui_file}" if result.gui_file else _imported(pod.spec)
    return commit_manifest(pod.store, pod.spec.attempt_uri, manifest_of(pod, result, files, gui_file))


def _imported(spec: RunSpec) -> str | None:
    """Return the file that the GUI would open where nothing was computed: the one that was imported."""
    return spec.imports[0].uri if spec.imports else None
