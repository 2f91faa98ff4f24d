"""Stage ``merge``: one pod joins the parts and commits the manifest."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fmdj_cloud.contracts import BasisCommit, Manifest, PartCommit, ShardRange
from fmdj_cloud.errors import ObjectMissingError, StorageError
from fmdj_cloud.storage.manifests import commit_manifest, manifest_uri, parse_manifest
from fmdj_cloud.storage.stages import inside, read_parts
from fmdj_cloud.worker.pod import Pod
from fmdj_cloud.worker.stages.given import base_name, fetch_given
from fmdj_cloud.worker.stages.manifests import manifest_of
from fmdj_cloud.worker.stages.project import basis_of

log = logging.getLogger(__name__)

_MANIFEST_MAX_BYTES = 16 << 20


def merge_parts(pod: Pod) -> str:
    """Commit the manifest, unless it is there; return its SHA-256."""
    there = _committed(pod)
    if there is not None:
        log.info("the manifest is committed already")
        return there
    basis = basis_of(pod)
    shards: Sequence[ShardRange | None] = basis.shards if basis is not None else (None,) * (pod.spec.shards or 1)
    digest = basis.digest if basis is not None else ""
    parts = read_parts(pod.store, pod.spec.attempt_uri, pod.identity, shards, digest)
    if parts is None:
        raise StorageError(
            f"{pod.spec.attempt_uri} doesn't hold a part that counts of each of its {len(shards)} shards, although "
            "this stage follows them: the task is tried again."
        )
    given = [(file, base_name(file)) for file in (basis.files if basis is not None else ())]
    given += [(file, f"{part.index}-{base_name(file)}") for part in parts for file in part.files]
    fetch_given(pod, given)
    views = basis.views if basis is not None else parts[0].views
    videos = tuple(tuple(str(pod.desk.videos / ref.name) for ref in row) for row in pod.spec.videos)
    result = pod.compute(videos=videos, views=views, shards=tuple(part.range for part in parts))
    files = pod.publish()
    manifest = manifest_of(pod, result, files, f"{pod.nonce}/{result.gui_file}" if result.gui_file else None)
    return commit_manifest(pod.store, pod.spec.attempt_uri, added_up(manifest, basis, parts))


def added_up(manifest: Manifest, basis: BasisCommit | None, parts: Sequence[PartCommit]) -> Manifest:
    """Return the manifest of a merge with what all pods before it have to say: pure.

    Parameters
    ----------
    manifest : Manifest
        Of the merge alone.
    basis : BasisCommit or None
    parts : sequence of PartCommit
    """
    before: list[BasisCommit | PartCommit] = [*parts] if basis is None else [basis, *parts]
    timings: dict[str, float] = {}
    for seconds in (*(commit.timings_s for commit in before), manifest.timings_s):
        for name, value in seconds.items():
            timings[name] = round(timings.get(name, 0.0) + value, 3)
    versions: dict[str, list[str]] = {}
    for found in (*(commit.versions for commit in before), manifest.versions):
        for name, version in found.items():
            versions.setdefault(name, [])
            versions[name] += [version] if version not in versions[name] else []
    mixed = [f"{name} {' and '.join(several)}" for name, several in versions.items() if len(several) > 1]
    warnings = [*(warning for commit in before for warning in commit.warnings), *manifest.warnings]
    if mixed:
        warnings.append(f"Its shards were computed with different versions: {', '.join(mixed)}.")
    devices = [commit.device for commit in before] or [manifest.device]
    return manifest.model_copy(
        update={
            "timings_s": timings,
            "versions": {name: ", ".join(several) for name, several in versions.items()},
            "warnings": tuple(dict.fromkeys(warnings)),
            "device": "; ".join(dict.fromkeys(devices)),
            "started": min([manifest.started, *(commit.started for commit in before)]),
        }
    )


def _committed(pod: Pod) -> str | None:
    """Return the SHA-256 of the manifest that another pod of this stage has committed, None if there is none."""
    try:
        limit = _MANIFEST_MAX_BYTES
        data = pod.store.get_bytes(manifest_uri(pod.spec.attempt_uri), max_bytes=limit, byte_range=(0, limit))
        manifest, sha256 = parse_manifest(data)
    except (ObjectMissingError, ValueError):
        return None
    ours = pod.identity
    theirs = type(ours)(**{name: getattr(manifest, name) for name, _ in ours})
    valid = theirs == ours and manifest.kind is pod.spec.kind and not inside(manifest.nonce, manifest.files)
    return sha256 if valid else None
