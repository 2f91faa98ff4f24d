"""Kubernetes: how to reach it, and what Jobs look like there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from fmdj_cloud.contracts import Kind
from fmdj_cloud.settings.base import Section
from fmdj_cloud.settings.kube_affinity import checked_affinity
from fmdj_cloud.settings.kube_mounts import MountSettings
from fmdj_cloud.settings.kube_places import Place, SpotSettings, Toleration
from fmdj_cloud.settings.kube_words import (
    IMAGE,
    LABEL_KEY,
    LABEL_VALUE,
    MANY,
    NAME,
    QUEUE,
    RESOURCE,
    SECRET_KEY,
    VARIABLE,
    check,
)

__all__ = ["KubernetesSettings", "MountSettings", "Place", "ProfileSettings", "SpotSettings", "Toleration"]

_STAY = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}
_RESERVED = ("fmdj.dev/", "batch.kubernetes.io/", "app.kubernetes.io/")
"""Beginnings of the names of labels and annotations that are ours or Kubernetes' own."""
_RESERVED_NAMES = ("job-name", "controller-uid")
_JUDGED = (
    "container.apparmor.security.beta.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
    "controller.kubernetes.io/pod-deletion-cost",
    "kubernetes.io/config.",
    "scheduler.alpha.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/",
)
"""Beginnings of annotations that the API server gives a meaning, and refuses pods for."""
_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
_OWN_VARIABLES = frozenset(
    {"POD_UID", "USER", "HOME", "TMPDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "TORCH_HOME"}
)
"""Variables of a worker's pod that are about the pod itself; threads (``*_THREADS``) are pinned besides."""
_FROM_SECRETS = "FMDJ_STORAGE__"
"""What variables of ours may come from a Secret: a worker reads no other settings, and may not know the database."""
_MARGIN_S = 60
"""From the end of a watch to the next sign of life, at most."""
_MAX_INT32 = 2**31 - 1
_MAX_BYTES = 128 * 1024
"""Of labels, annotations, affinity: half of what Kubernetes takes of annotations, so that ours fit in too."""
_REQUESTS_PER_LAUNCH = 2.5
"""A Job is made and deleted; the rest is for lists, events and what has to be tried again."""


class ProfileSettings(Section):
    """What Jobs of one profile look like."""

    image: str = Field("", description="Worker image, best by digest. Without one no Job of this profile is made.")
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        None, description="When the image is pulled; empty is Kubernetes' default."
    )
    image_pull_secrets: tuple[str, ...] = Field((), max_length=MANY, description="Secrets with registry credentials.")
    max_active: Annotated[int, Field(ge=1)] = Field(
        10, description="Pods of this profile that may exist at a time: more than nodes are there just queue."
    )
    cpu: Annotated[float, Field(ge=0.1, le=1024)] = Field(
        2, description="Cores requested: Facemap decodes on one while it computes on another."
    )
    cpu_limit: Annotated[float, Field(ge=0.1, le=1024)] | None = Field(
        None, description="Most cores; empty is no limit, since throttling only makes a run longer."
    )
    memory_min_mib: Annotated[int, Field(ge=64, le=67108864)] = Field(
        1024, description="Least memory, MiB: importing Facemap takes 440."
    )
    memory_max_mib: Annotated[int, Field(ge=64, le=67108864)] = Field(
        65536, description="Most memory an attempt may get, MiB."
    )
    scratch_min_mib: Annotated[int, Field(ge=64, le=1073741824)] = Field(1024, description="Least scratch disk, MiB.")
    scratch_max_mib: Annotated[int, Field(ge=64, le=1073741824)] = Field(
        1048576, description="Most scratch disk an attempt may get, MiB."
    )
    scratch_class: str | None = Field(
        None, description="StorageClass of a volume made for each pod's scratch; empty is the node's own disk."
    )
    shm_mib: Annotated[int, Field(ge=0)] = Field(
        256, description="Size of /dev/shm, MiB, part of the memory limit; 0 is the runtime's own 64 MiB."
    )
    gpu: Annotated[int, Field(ge=0, le=64)] = Field(0, description="GPUs of a pod; pose and the engine turbo use one.")
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
    labels: dict[str, str] = Field(
        default_factory=dict, max_length=MANY, description="Further labels of Jobs and pods."
    )
    annotations: dict[str, str] = Field(
        default_factory=lambda: dict(_STAY),
        description="Annotations of the pods; by default autoscalers leave a running worker alone.",
    )
    secret_env: dict[str, str] = Field(
        default_factory=dict,
        max_length=MANY,
        description="Variable -> `secret/key`: credentials of the object store, where there is no workload identity.",
    )
    run_as_user: Annotated[int, Field(ge=1, le=_MAX_INT32)] = Field(1000, description="User id; any will do.")
    run_as_group: Annotated[int, Field(ge=0, le=_MAX_INT32)] | None = Field(
        None, description="Group id; empty is the image's."
    )
    fs_group: Annotated[int, Field(ge=1, le=_MAX_INT32)] | None = Field(
        None, description="Group that owns mounted volumes; empty is `run_as_user`, so that scratch can be written."
    )
    supplemental_groups: tuple[Annotated[int, Field(ge=1, le=_MAX_INT32)], ...] = Field(
        (), max_length=MANY, description="Further groups, as shared folders need them."
    )
    stop_grace_s: Annotated[int, Field(ge=15, le=86400)] = Field(
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
        check(IMAGE, "an image's reference", [self.image] if self.image else [])
        check(RESOURCE, "an extended resource like nvidia.com/gpu", [self.gpu_resource])
        names = (self.priority_class, self.runtime_class, self.service_account, self.scratch_class)
        check(NAME, "a name in Kubernetes", [*(name for name in names if name), *self.image_pull_secrets])
        check(QUEUE, "a LocalQueue's name", [self.kueue_queue])
        return self

    @field_validator("labels", "annotations")
    @classmethod
    def _not_ours(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        check(LABEL_KEY, "a name of labels and annotations", value)
        judged: tuple[str, ...] = _JUDGED
        if info.field_name == "labels":
            check(LABEL_VALUE, "a label's value", value.values())
            judged = ()
        for name in value:
            if name.startswith(_RESERVED) or name in _RESERVED_NAMES:
                raise ValueError(f"{name} is set by fmdj-cloud or Kubernetes itself")
            if name.startswith(judged):
                raise ValueError(f"{name} has a meaning of its own for Kubernetes: set what it stands for")
            if name == _QUEUE_LABEL:
                raise ValueError(f"{name} is set by kueue_queue")
        if sum(len(name) + len(text.encode()) for name, text in value.items()) > _MAX_BYTES:
            raise ValueError(f"they are larger than {_MAX_BYTES // 1024} KiB together")
        return value

    @field_validator("affinity")
    @classmethod
    def _shape(cls, value: dict[str, Any]) -> dict[str, Any]:
        affinity = checked_affinity(value)
        if len(json.dumps(affinity)) > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES // 1024} KiB")
        return affinity

    @field_validator("secret_env")
    @classmethod
    def _references(cls, value: dict[str, str]) -> dict[str, str]:
        check(VARIABLE, "a variable's name", value)
        for variable, reference in value.items():
            secret, slash, key = reference.partition("/")
            if not slash or not NAME.fullmatch(secret) or not SECRET_KEY.fullmatch(key):
                raise ValueError(f"{variable}={reference!r} is not `secret/key`")
            name = variable.upper()
            if name in _OWN_VARIABLES or name.endswith("_THREADS"):
                raise ValueError(f"{variable} is set by fmdj-cloud itself")
            if name.startswith(("FMDJ_", "DJ_")) and not name.startswith(_FROM_SECRETS):
                raise ValueError(f"{variable} is nothing that a worker may read: of ours only {_FROM_SECRETS}* is")
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
    requests_per_s: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Requests to the API server per second in the long run: shared clusters throttle the greedy. Empty "
        "is 2.5 times `launches_per_s`: every Job is made and deleted.",
    )
    request_burst: Annotated[int, Field(ge=1)] = Field(
        40, description="Requests that may go at once after a quiet time."
    )
    request_timeout_s: Annotated[float, Field(gt=0)] = Field(
        15, description="A request is given up after this, seconds."
    )
    launches_per_s: Annotated[float, Field(gt=0)] = Field(
        10,
        description="Jobs made per second in the long run, five seconds' worth at once after a pause: a default "
        "cluster completes 5 to 6 short ones a second.",
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
    job_ttl_s: Annotated[int, Field(ge=3600, le=_MAX_INT32)] = Field(
        7 * 86400,
        description="Kubernetes deletes an ended Job after this, seconds: a backstop, the controller is first.",
    )
    profiles: dict[Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")], ProfileSettings] = Field(
        default_factory=dict,
        description="Profiles by name. Runs of a kind take the profile of its name (`svd`, `pose`, `import`), "
        "unless a FacemapRun names another; a kind without one takes `default`.",
    )
    mounts: tuple[MountSettings, ...] = Field((), max_length=MANY, description="Volumes that every worker mounts.")

    @model_validator(mode="after")
    def _consistent(self) -> KubernetesSettings:
        if self.stale_s < self.watch_s + _MARGIN_S:  # a watch of Events says nothing at all where nothing happens
            raise ValueError(
                f"stale_s={self.stale_s} is not {_MARGIN_S} more than watch_s={self.watch_s}: every quiet watch would "
                "be stale"
            )
        paths = [mount.path for mount in self.mounts]
        if len(set(paths)) != len(paths):
            raise ValueError(f"mounts have the same path: {', '.join(paths)}")
        return self

    @property
    def request_rate(self) -> float:
        """Requests per second in the long run, told or as many as the launches take."""
        return self.requests_per_s or _REQUESTS_PER_LAUNCH * self.launches_per_s

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
