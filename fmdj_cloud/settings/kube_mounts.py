"""Volumes of the lab's that every worker mounts."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from fmdj_cloud.settings.base import Section
from fmdj_cloud.settings.kube_words import NAME, NFS_SERVER, check, check_below, check_folder

_TAKEN = ("/dev", "/proc", "/sys", "/scratch", "/tmp")  # noqa: S108 - a path in the container
"""Folders of a worker's pod that have something of their own mounted there."""


class MountSettings(Section):
    """A volume that every worker mounts: a shared folder for `file://`, or files such as a private CA's."""

    path: Annotated[str, Field(pattern=r"^/[^:]+$"), AfterValidator(check_folder)] = Field(
        description="Where it is mounted, an absolute path."
    )
    claim: str | None = Field(None, description="PersistentVolumeClaim.")
    nfs_server: str | None = Field(
        None,
        description="NFS server, with `nfs_path`. Namespaces with restricted Pod Security take a claim instead.",
    )
    nfs_path: Annotated[str, AfterValidator(check_folder)] | None = Field(
        None, description="Path that the NFS server exports."
    )
    config_map: str | None = Field(None, description="ConfigMap, its keys as files.")
    secret: str | None = Field(None, description="Secret, its keys as files.")
    sub_path: Annotated[str, AfterValidator(check_below)] = Field(
        "", description="Folder in the volume that is mounted; empty is all of it."
    )
    read_only: bool = Field(False, description="Whether workers only read it; ConfigMaps and Secrets always are.")

    @model_validator(mode="after")
    def _one_source(self) -> MountSettings:
        sources = [self.claim, self.nfs_server, self.config_map, self.secret]
        if sum(source is not None for source in sources) != 1:
            raise ValueError(f"mount {self.path}: name one of claim, nfs_server, config_map, secret")
        if (self.nfs_server is None) != (self.nfs_path is None):
            raise ValueError(f"mount {self.path}: nfs_server and nfs_path go together")
        check(NAME, "a name in Kubernetes", [s for s in (self.claim, self.config_map, self.secret) if s is not None])
        check(NFS_SERVER, "a server's name or address", [self.nfs_server] if self.nfs_server is not None else [])
        if self.path == "/" or any(PurePosixPath(self.path).is_relative_to(taken) for taken in _TAKEN):
            raise ValueError(f"mount {self.path}: the worker's pod has something of its own there")
        return self

    @property
    def readable_only(self) -> bool:
        """Whether nothing can be written there."""
        return self.read_only or self.config_map is not None or self.secret is not None
