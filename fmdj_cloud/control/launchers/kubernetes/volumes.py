"""Volumes of a worker's pod: scratch, what a read-only root lacks, and what the lab mounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from fmdj_cloud.settings.kubernetes import MountSettings, ProfileSettings

SCRATCH = "/scratch"
TMP_MIB = 256
"""Size of /tmp: what is large lies on scratch."""


def build_volumes(
    profile: ProfileSettings, mounts: Sequence[MountSettings], scratch_mib: int, labels: Mapping[str, str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volumes of a pod and the mounts of its container.

    Parameters
    ----------
    profile : ProfileSettings
    mounts : sequence of MountSettings
        What every worker mounts.
    scratch_mib : int
    labels : mapping of str to str
        Of a claim that is made for the pod.
    """
    volumes = [
        {"name": "scratch", **_scratch(profile.scratch_class, scratch_mib, labels)},
        {"name": "tmp", "emptyDir": {"sizeLimit": f"{TMP_MIB}Mi"}},
    ]
    mounted: list[dict[str, Any]] = [
        {"name": "scratch", "mountPath": SCRATCH},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a path in the container
    ]
    if profile.shm_mib:
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{profile.shm_mib}Mi"}})
        mounted.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108
    for index, mount in enumerate(mounts):
        name = f"mount-{index}"
        volumes.append({"name": name, **_source(mount)})
        entry: dict[str, Any] = {"name": name, "mountPath": mount.path}
        if mount.sub_path:
            entry["subPath"] = mount.sub_path
        if mount.readable_only:
            entry["readOnly"] = True
        mounted.append(entry)
    return volumes, mounted


def mount_of(path: PurePosixPath, mounts: Sequence[MountSettings]) -> MountSettings | None:
    """Return the mount that holds a path of the container: the innermost, None if it lies in the image."""
    found = [mount for mount in mounts if path.is_relative_to(mount.path)]
    return max(found, key=lambda mount: len(PurePosixPath(mount.path).parts), default=None)


def _scratch(storage_class: str | None, size_mib: int, labels: Mapping[str, str]) -> dict[str, Any]:
    if not storage_class:
        return {"emptyDir": {"sizeLimit": f"{size_mib}Mi"}}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": f"{size_mib}Mi"}},
    }
    return {"ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": dict(labels)}, "spec": claim}}}


def _source(mount: MountSettings) -> dict[str, Any]:
    if mount.claim is not None:
        return {"persistentVolumeClaim": {"claimName": mount.claim}}
    if mount.nfs_server is not None:
        return {"nfs": {"server": mount.nfs_server, "path": mount.nfs_path}}
    if mount.config_map is not None:
        return {"configMap": {"name": mount.config_map}}
    return {"secret": {"secretName": mount.secret}}
