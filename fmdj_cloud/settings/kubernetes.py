"""Kubernetes: how to reach it, and what Jobs look like there."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from fmdj_cloud.contracts import Kind
from fmdj_cloud.settings.base import Section

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_RESOURCE = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_STAY = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}
_OURS = "fmdj.dev/"
"""Prefix of our own labels and annotations."""


def _checked(pattern: re.Pattern[str], what: str, values: Any) -> None:
    for value in values:
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} is not {what}")


class Toleration(Section):
    """A taint that pods of a profile tolerate; fields as in Kubernetes."""

    key: str = Field("", description="Key of the taint; empty, with `Exists`, is any.")
    operator: Literal["Exists", "Equal"] = Field("Exists", description="How `value` is compared.")
    value: str = Field("", description="Value of the taint, with `Equal`.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Effect of the taint; empty is any."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Toleration:
        if self.key:
            _checked(_LABEL_KEY, "a taint's key", [self.key])
        _checked(_LABEL_VALUE, "a taint's value", [self.value])
        if self.operator == "Exists" and self.value:
            raise ValueError(f"value={self.value!r} needs operator Equal")
        if self.operator == "Equal" and not self.key:
            raise ValueError("operator Equal needs a key")
        return self


class Place(Section):
    """Where pods may go."""

    node_selector: dict[str, str] = Field(default_factory=dict, description="Labels that a node must have.")
    tolerations: tuple[Toleration, ...] = Field((), description="Taints that are tolerated.")

    @field_validator("node_selector")
    @classmethod
    def _labels(cls, value: dict[str, str]) -> dict[str, str]:
        _checked(_LABEL_KEY, "a label's name", value)
        _checked(_LABEL_VALUE, "a label's value", value.values())
        return value


class SpotSettings(Section):
    """Nodes that may be taken away at any time, for early attempts; the last ones go elsewhere."""

    spot: Place = Field(default_factory=Place, description="Added for attempts on spot nodes.")
    on_demand: Place = Field(default_factory=Place, description="Added for the attempts after that.")
    disruptions: Annotated[int, Field(ge=0)] = Field(
        3, description="After so many disruptions a run goes to on-demand nodes: spot capacity is gone for now."
    )


class MountSettings(Section):
    """A volume that every worker mounts: a shared folder for `file://`, or files such as a private CA's."""

    path: Annotated[str, Field(pattern=r"^/[^:]+$")] = Field(description="Where it is mounted, an absolute path.")
    claim: str | None = Field(None, description="PersistentVolumeClaim.")
    nfs_server: str | None = Field(None, description="NFS server, with `nfs_path`.")
    nfs_path: str | None = Field(None, description="Path that the NFS server exports.")
    config_map: str | None = Field(None, description="ConfigMap, its keys as files.")
    secret: str | None = Field(None, description="Secret, its keys as files.")
    sub_path: str = Field("", description="Folder in the volume that is mounted; empty is all of it.")
    read_only: bool = Field(False, description="Whether workers only read it; ConfigMaps and Secrets always are.")

    @model_validator(mode="after")
    def _one_source(self) -> MountSettings:
        sources = [self.claim, self.nfs_server, self.config_map, self.secret]
        if sum(source is not None for source in sources) != 1:
            raise ValueError(f"mount {self.path}: name one of claim, nfs_server, config_map, secret")
        if (self.nfs_server is None) != (self.nfs_path is None):
            raise ValueError(f"mount {self.path}: nfs_server and nfs_path go together")
        if self.nfs_path is not None and not self.nfs_path.startswith("/"):
            raise ValueError(f"mount {self.path}: nfs_path={self.nfs_path} is not an absolute path")
        _checked(_NAME, "a name in Kubernetes", [s for s in (self.claim, self.config_map, self.secret) if s])
        if ".." in PurePosixPath(self.path).parts or ".." in PurePosixPath(self.sub_path).parts:
            raise ValueError(f"mount {self.path}: `..` leads out of it")
        if self.sub_path.startswith("/"):
            raise ValueError(f"mount {self.path}: sub_path={self.sub_path} must be relative")
        return self


class ProfileSettings(Section):
    """What Jobs of one profile look like."""

    image: str = Field("", description="Worker image, best by digest. Without one no Job of this profile is made.")
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        None, description="When the image is pulled; empty is Kubernetes' default."
    )
    image_pull_secrets: tuple[str, ...] = Field((), description="Secrets with registry credentials.")
    max_active: Annotated[int, Field(ge=1)] = Field(
        10, description="Attempts of this profile that may exist at a time: more than nodes are there just queue."
    )
    cpu: Annotated[float, Field(ge=0.1, le=1024)] = Field(
        2, description="Cores requested: Facemap decodes on one while it computes on another."
    )
    cpu_limit: Annotated[float, Field(ge=0.1, le=1024)] | None = Field(
        None, description="Most cores; empty is no limit, since throttling only makes a run longer."
    )
    memory_min_mib: Annotated[int, Field(ge=64)] = Field(
        1024, description="Least memory, MiB: importing Facemap takes 440."
    )
    memory_max_mib: Annotated[int, Field(ge=64)] = Field(65536, description="Most memory an attempt may get, MiB.")
    scratch_min_mib: Annotated[int, Field(ge=64)] = Field(1024, description="Least scratch disk, MiB.")
    scratch_max_mib: Annotated[int, Field(ge=64)] = Field(
        1048576, description="Most scratch disk an attempt may get, MiB."
    )
    scratch_class: str | None = Field(
        None, description="StorageClass of a volume made for each pod's scratch; empty is the node's own disk."
    )
    shm_mib: Annotated[int, Field(ge=0)] = Field(
        256, description="Size of /dev/shm, MiB, part of the memory limit; 0 is the runtime's own 64 MiB."
    )
    gpu: Annotated[int, Field(ge=0, le=64)] = Field(0, description="GPUs of a pod; Facemap's SVD uses none.")
    gpu_resource: str = Field(
        "nvidia.com/gpu", description="Resource that a GPU is asked for by: `amd.com/gpu`, `nvidia.com/mig-1g.10gb` ..."
    )
    place: Place = Field(default_factory=Place, description="Nodes of all attempts.")
    spot: SpotSettings | None = Field(None, description="Spot nodes for early attempts; empty if there are none.")
    affinity: dict[str, Any] = Field(default_factory=dict, description="Affinity, as in a PodSpec.")
    priority_class: str | None = Field(None, description="PriorityClass of the pods.")
    runtime_class: str | None = Field(None, description="RuntimeClass of the pods, such as `nvidia`.")
    service_account: str | None = Field(
        None, description="ServiceAccount with the workload identity for the object store; its token isn't mounted."
    )
    kueue_queue: str = Field("", description="LocalQueue of Kueue that admits the Jobs; empty is none.")
    labels: dict[str, str] = Field(default_factory=dict, description="Further labels of Jobs and pods.")
    annotations: dict[str, str] = Field(
        default_factory=lambda: dict(_STAY),
        description="Annotations of the pods; by default autoscalers leave a running worker alone.",
    )
    secret_env: dict[str, str] = Field(
        default_factory=dict,
        description="Variable -> `secret/key`: credentials of the object store, where there is no workload identity.",
    )
    run_as_user: Annotated[int, Field(ge=1)] = Field(1000, description="User id; any will do.")
    run_as_group: Annotated[int, Field(ge=0)] | None = Field(None, description="Group id; empty is the image's.")
    fs_group: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Group that owns mounted volumes; empty is `run_as_user`, so that scratch can be written."
    )
    supplemental_groups: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="Further groups, as shared folders need them."
    )
    stop_grace_s: Annotated[int, Field(ge=15)] = Field(
        30, description="From SIGTERM to SIGKILL, seconds; the worker needs up to 10 to stop by itself."
    )

    @model_validator(mode="after")
    def _consistent(self) -> ProfileSettings:
        for what in ("memory", "scratch"):
            least, most = getattr(self, f"{what}_min_mib"), getattr(self, f"{what}_max_mib")
            if least > most:
                raise ValueError(f"{what}_min_mib={least} is more than {what}_max_mib={most}")
        if self.cpu_limit is not None and self.cpu_limit < self.cpu:
            raise ValueError(f"cpu_limit={self.cpu_limit} is less than cpu={self.cpu}")
        if self.shm_mib > self.memory_min_mib:
            raise ValueError(
                f"shm_mib={self.shm_mib} is more than memory_min_mib={self.memory_min_mib}: it is part of it"
            )
        _checked(_RESOURCE, "an extended resource like nvidia.com/gpu", [self.gpu_resource])
        names = (self.priority_class, self.runtime_class, self.service_account, self.scratch_class)
        _checked(_NAME, "a name in Kubernetes", [name for name in (*names, *self.image_pull_secrets) if name])
        _checked(_LABEL_VALUE, "a queue's name", [self.kueue_queue])
        return self

    @field_validator("labels", "annotations")
    @classmethod
    def _not_ours(cls, value: dict[str, str], info: Any) -> dict[str, str]:
        _checked(_LABEL_KEY, "a name of labels and annotations", value)
        if info.field_name == "labels":
            _checked(_LABEL_VALUE, "a label's value", value.values())
        for name in value:
            if name.startswith((_OURS, "batch.kubernetes.io/", "app.kubernetes.io/")) or name in (
                "job-name",
                "controller-uid",
            ):
                raise ValueError(f"{name} is set by fmdj-cloud or Kubernetes itself")
        return value

    @field_validator("secret_env")
    @classmethod
    def _references(cls, value: dict[str, str]) -> dict[str, str]:
        _checked(_VARIABLE, "a variable's name", value)
        for variable, reference in value.items():
            secret, slash, key = reference.partition("/")
            if not slash or not _NAME.fullmatch(secret) or not re.fullmatch(r"[-._A-Za-z0-9]{1,253}", key):
                raise ValueError(f"{variable}={reference!r} is not `secret/key`")
        return value


class KubernetesSettings(Section):
    """How Jobs are run on Kubernetes (with `controller.launcher: kubernetes`)."""

    namespace: Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$")] = Field(
        "", description="Namespace of Jobs, Lease and FacemapRuns; empty is the controller's own."
    )
    kubeconfig: Path | None = Field(
        None, description="Kubeconfig file; empty is the pod's own account, then KUBECONFIG."
    )
    context: str | None = Field(None, description="Context in the kubeconfig; empty is the current one.")
    requests_per_s: Annotated[float, Field(gt=0)] = Field(
        20, description="Requests to the API server per second in the long run: shared clusters throttle the greedy."
    )
    request_burst: Annotated[int, Field(ge=1)] = Field(
        40, description="Requests that may go at once after a quiet time."
    )
    request_timeout_s: Annotated[float, Field(gt=0)] = Field(
        15, description="A request is given up after this, seconds."
    )
    launches_per_s: Annotated[float, Field(gt=0)] = Field(
        10, description="Jobs made per second at most: a default cluster completes 5 to 6 short ones a second."
    )
    watch_s: Annotated[int, Field(ge=5)] = Field(
        240, description="The API server ends a watch after this, seconds; silence a little longer ends it here."
    )
    relist_s: Annotated[float, Field(gt=0)] = Field(
        600, description="Everything is listed anew so often, seconds: a watch may lose events without saying so."
    )
    stale_s: Annotated[float, Field(gt=0)] = Field(
        600, description="After so long without an answer the process ends, seconds: a fresh one may do better."
    )
    image_grace_s: Annotated[float, Field(ge=0)] = Field(
        600, description="An image that can't be pulled for so long is final, seconds: registries have bad minutes."
    )
    unschedulable_grace_s: Annotated[float, Field(ge=0)] = Field(
        900, description="No node can ever take a pod for so long: final, seconds; autoscalers answer within this."
    )
    start_grace_s: Annotated[float, Field(ge=0)] = Field(
        900, description="A pod on a node that can't start for another reason (a volume, a Secret) for so long: final."
    )
    lost_grace_s: Annotated[float, Field(ge=0)] = Field(
        300, description="A pod that is still ending so long after its grace is on a dead node, seconds."
    )
    job_ttl_s: Annotated[int, Field(ge=3600)] = Field(
        7 * 86400,
        description="Kubernetes deletes an ended Job after this, seconds: a backstop, the controller is first.",
    )
    profiles: dict[Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")], ProfileSettings] = Field(
        default_factory=dict,
        description="Profiles by name. Runs of a kind take the profile of its name (`svd`, `pose`, `import`), "
        "unless a FacemapRun names another; a kind without one takes `default`.",
    )
    mounts: tuple[MountSettings, ...] = Field((), description="Volumes that every worker mounts.")

    @model_validator(mode="after")
    def _consistent(self) -> KubernetesSettings:
        if self.stale_s < self.watch_s:
            raise ValueError(
                f"stale_s={self.stale_s} is less than watch_s={self.watch_s}: every quiet watch would be stale"
            )
        paths = [mount.path for mount in self.mounts]
        if len(set(paths)) != len(paths):
            raise ValueError(f"mounts have the same path: {', '.join(paths)}")
        for path in paths:
            if path in ("/", "/dev/shm", "/scratch", "/tmp"):  # noqa: S108 - a path in the container
                raise ValueError(f"mount {path}: the worker's pod has a volume of its own there")
        return self

    def profile_for(self, kind: Kind, name: str = "") -> tuple[str, ProfileSettings]:
        """Return name and settings of the profile that a run takes.

        Parameters
        ----------
        kind : Kind
        name : str
            A profile asked for by name; empty takes the kind's own.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        if name:
            return name, self.profiles[name]
        found = next((name for name in (kind.value, "default") if name in self.profiles), kind.value)
        return found, self.profiles.get(found, ProfileSettings())
