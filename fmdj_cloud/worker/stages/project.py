"""Stage ``project``: each pod computes one shard."""

from __future__ import annotations

import logging

from fmdj_cloud.contracts import BasisCommit, Kind, PartCommit, ShardRange
from fmdj_cloud.contracts.shards import cut
from fmdj_cloud.errors import ConfigError, StorageError
from fmdj_cloud.storage.stages import commit_part, earlier_part, read_basis, read_part
from fmdj_cloud.worker.handover import ChildResult
from fmdj_cloud.worker.pod import Pod, now
from fmdj_cloud.worker.pose.blocks import POSE_BLOCK
from fmdj_cloud.worker.pose.desk import fetch_for_pose
from fmdj_cloud.worker.reach import REACH, Extent, read_reach
from fmdj_cloud.worker.stages.given import base_name, fetch_given, whole_uris
from fmdj_cloud.worker.stages.videos import compute_on_videos

log = logging.getLogger(__name__)

ROLE = "part"


def compute_part(pod: Pod) -> None:
    """Commit a shard, unless it is there."""
    assert pod.index is not None  # noqa: S101 - it was checked
    basis = basis_of(pod)
    shards = len(basis.shards) if basis is not None else pod.spec.shards or 1
    if pod.index >= shards:
        raise ConfigError(
            f"There is no shard {pod.index} among {shards}, numbered from 0: run controller and worker of the same "
            "version."
        )
    shard = basis.shards[pod.index] if basis is not None else None
    digest = basis.digest if basis is not None else ""
    folder = pod.spec.attempt_uri
    found = read_part(pod.store, folder, pod.identity, pod.index, shard=shard, basis_digest=digest)
    if found is not None:
        log.info("pod %s has committed shard %d already", found.nonce, pod.index)
        return
    commit_part(
        pod.store, folder, _earlier(pod, pod.index, shard, digest) or _computed(pod, pod.index, basis, shard, digest)
    )


def basis_of(pod: Pod) -> BasisCommit | None:
    """Return the basis of the attempt; None for a run that has none.

    Raises
    ------
    StorageError
        If it isn't there.
    """
    if pod.spec.kind is not Kind.SVD:
        return None
    basis = read_basis(pod.store, pod.spec.attempt_uri, pod.identity)
    if basis is None:
        raise StorageError(
            f"{pod.spec.attempt_uri} holds no basis that counts, although this stage follows it: the task is tried "
            "again."
        )
    return basis


def _computed(pod: Pod, index: int, basis: BasisCommit | None, shard: ShardRange | None, digest: str) -> PartCommit:
    if basis is None:
        result, bytes_read = _pose(pod)
    else:
        fetch_given(pod, [(file, base_name(file)) for file in basis.files])
        reach = read_reach(pod.desk.given / REACH)
        result, bytes_read = compute_on_videos(pod, reach.shards[index], ranged=reach.ranged, shard=shard)
    return PartCommit(
        **pod.identity.model_dump(),
        nonce=pod.nonce,
        index=index,
        range=result.shards[0],
        nframes=result.nframes,
        basis_digest=digest,
        files=pod.publish(ROLE),
        views=result.views if basis is None else (),
        warnings=result.warnings,
        versions=result.versions,
        device=result.device,
        threads=pod.spec.limits.threads,
        bytes_read=bytes_read,
        timings_s={**pod.timings.seconds, **result.timings_s},
        started=pod.started,
        finished=now(),
    )


def _pose(pod: Pod) -> tuple[ChildResult, int]:
    with pod.timings.of("fetch"):
        fetch_for_pose(pod.store, pod.spec, pod.desk, stop=pod.stop, others=(pod.spec.attempt_uri,))
    whole = [
        Extent(row=row, view=view, start=0, stop=ref.size)
        for row, refs in enumerate(pod.spec.videos)
        for view, ref in enumerate(refs)
    ]
    return compute_on_videos(pod, whole, ranged=False)


def _earlier(pod: Pod, index: int, shard: ShardRange | None, digest: str) -> PartCommit | None:
    """Return the newest part of an earlier attempt that is still there, as this pod's commit."""
    for folder in pod.spec.resume_from:
        found = earlier_part(pod.store, folder, pod.content, index, shard=shard, basis_digest=digest)
        if found is None or (shard is None and found.range != _own(pod, found, index)):
            continue
        files = whole_uris(pod, folder, found.files)
        if files is not None:
            log.info("shard %d of %s is used again", index, folder)
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


def _own(pod: Pod, found: PartCommit, index: int) -> ShardRange:
    """Return the frames of this pod's shard, if it counts as the one that committed a part did."""
    return cut(found.nframes, pod.spec.shards or 1, block=POSE_BLOCK)[index]
