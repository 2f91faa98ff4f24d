"""Stage ``basis``: one pod finds the basis and cuts the recording into shards."""

from __future__ import annotations

import logging

from fmdj_cloud.contracts import BasisCommit
from fmdj_cloud.storage.stages import commit_basis, earlier_basis, read_basis
from fmdj_cloud.worker.handover import COUNTED
from fmdj_cloud.worker.pod import Pod, now
from fmdj_cloud.worker.reach import Extent
from fmdj_cloud.worker.stages.given import whole_uris
from fmdj_cloud.worker.stages.videos import compute_on_videos

log = logging.getLogger(__name__)

ROLE = "basis"


def compute_basis(pod: Pod) -> None:
    """Commit a basis, unless it is there."""
    folder = pod.spec.attempt_uri
    found = read_basis(pod.store, folder, pod.identity)
    if found is not None:
        log.info("pod %s has committed the basis already", found.nonce)
        return
    commit_basis(pod.store, folder, _earlier(pod) or _computed(pod))


def _computed(pod: Pod) -> BasisCommit:
    everything = [
        Extent(row=row, view=view, start=0, stop=ref.size)
        for row, refs in enumerate(pod.spec.videos)
        for view, ref in enumerate(refs)
    ]
    result, bytes_read = compute_on_videos(pod, everything, ranged=COUNTED not in pod.spec.accept)
    return BasisCommit(
        **pod.identity.model_dump(),
        nonce=pod.nonce,
        files=pod.publish(ROLE),
        nframes=result.nframes,
        block=result.block,
        shards=result.shards,
        views=result.views,
        warnings=result.warnings,
        versions=result.versions,
        device=result.device,
        threads=pod.spec.limits.threads,
        bytes_read=bytes_read,
        timings_s={**pod.timings.seconds, **result.timings_s},
        started=pod.started,
        finished=now(),
    )


def _earlier(pod: Pod) -> BasisCommit | None:
    """Return the newest basis of an earlier attempt that is still there, as this pod's commit."""
    if COUNTED in pod.spec.accept:
        return None
    for folder in pod.spec.resume_from:
        found = earlier_basis(pod.store, folder, pod.content)
        if found is None or len(found.shards) > (pod.spec.shards or 1):
            continue
        files = whole_uris(pod, folder, found.files)
        if files is not None:
            log.info("the basis of %s is used again", folder)
            return found.model_copy(
                update={
                    **pod.identity.model_dump(),
                    "nonce": pod.nonce,
                    "files": files,
                    "reused": found.reused or folder,
                    "started": pod.started,
                    "finished": now(),
                }
            )
    return None
