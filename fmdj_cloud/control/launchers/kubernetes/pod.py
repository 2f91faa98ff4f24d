"""The pod of a worker: restricted, on its own disk, where its profile says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fmdj_cloud.contracts import JobRequest, Stage
from fmdj_cloud.control.launchers.kubernetes.env import POD_UID, build_environment, literal
from fmdj_cloud.control.launchers.kubernetes.indexed import INDEX, is_indexed
from fmdj_cloud.control.launchers.kubernetes.volumes import TMP_MIB, build_volumes
from fmdj_cloud.settings import ProfileSettings, Settings
from fmdj_cloud.settings.kubernetes import Toleration

CONTAINER = "worker"
TERMINATION_LOG = "/dev/termination-log"
_LOGS_MIB = 256
"""Room for the container's log on the node, which counts as its ephemeral storage: kubelets keep 50 MiB or so."""


def build_pod(
    request: JobRequest, profile: ProfileSettings, settings: Settings, *, instance: str, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return the PodSpec of an attempt.

    Parameters
    ----------
    request : JobRequest
    profile : ProfileSettings
        What the request takes.
    settings : Settings
    instance : str
    labels : mapping of str to str
        Of everything that is made for the attempt.
    """
    scratch = max(request.limits.scratch_mib, profile.scratch_min_mib)
    volumes, mounts = build_volumes(profile, settings.kubernetes.mounts, scratch, labels)
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": profile.image,
        "command": ["python", "-m", "fmdj_cloud.worker"],
        "args": [
            *("--spec", literal(request.spec_uri)),
            *("--sha256", literal(request.spec_sha256)),
            *("--nonce", f"$({POD_UID})"),
            *("--termination-log", TERMINATION_LOG),
            *_stage_arguments(request),
        ],
        "env": build_environment(settings, profile, instance=instance, threads=request.limits.threads),
        "resources": _resources(request, profile, scratch),
        "volumeMounts": mounts,
        "terminationMessagePath": TERMINATION_LOG,
        # a worker that crashes before it can say why leaves the end of its log there
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    if profile.image_pull_policy:
        container["imagePullPolicy"] = profile.image_pull_policy
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": profile.stop_grace_s,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _security(profile),
        "containers": [container],
        "volumes": volumes,
    }
    if profile.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in dict.fromkeys(profile.image_pull_secrets)]
    named = {
        "serviceAccountName": profile.service_account,
        "priorityClassName": profile.priority_class,
        "runtimeClassName": profile.runtime_class,
    }
    return {**pod, **{field: name for field, name in named.items() if name}, **_place(profile, request.disruptions)}


def _stage_arguments(request: JobRequest) -> tuple[str, ...]:
    if request.stage is Stage.ALL:
        return ()
    shard = ("--index", f"$({INDEX})") if is_indexed(request) else ()
    return ("--stage", request.stage.value, *shard)


def _resources(request: JobRequest, profile: ProfileSettings, scratch_mib: int) -> dict[str, Any]:
    memory = f"{max(request.limits.memory_mib, profile.memory_min_mib)}Mi"
    # scratch is the node's disk, too, unless it has a volume of its own
    disk = f"{TMP_MIB + _LOGS_MIB + (0 if profile.scratch_class else scratch_mib)}Mi"
    same = {"memory": memory, "ephemeral-storage": disk}
    if profile.gpu:
        same[profile.gpu_resource] = str(profile.gpu)
    requests = {"cpu": _cpu(profile.cpu), **same}
    if profile.cpu_limit is None:
        return {"requests": requests, "limits": same}
    return {"requests": requests, "limits": {"cpu": _cpu(profile.cpu_limit), **same}}


def _cpu(cores: float) -> str:
    milli = round(cores * 1000)
    return f"{milli}m" if milli % 1000 else str(milli // 1000)


def _security(profile: ProfileSettings) -> dict[str, Any]:
    context: dict[str, Any] = {
        "runAsNonRoot": True,
        "runAsUser": profile.run_as_user,
        "fsGroup": profile.fs_group or profile.run_as_user,
        # a shared folder with millions of files isn't gone through at every start
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if profile.run_as_group is not None:
        context["runAsGroup"] = profile.run_as_group
    if profile.supplemental_groups:
        context["supplementalGroups"] = list(dict.fromkeys(profile.supplemental_groups))
    return context


def _place(profile: ProfileSettings, disruptions: int) -> dict[str, Any]:
    """Return where the pod may go: early attempts on spot nodes, the last ones on nodes that stay."""
    selector, tolerations = dict(profile.place.node_selector), list(profile.place.tolerations)
    if profile.spot is not None:
        chosen = profile.spot.spot if disruptions < profile.spot.disruptions else profile.spot.on_demand
        selector.update(chosen.node_selector)
        tolerations += chosen.tolerations
    place = {
        "nodeSelector": selector,
        "tolerations": [_toleration(toleration) for toleration in dict.fromkeys(tolerations)],
        "affinity": profile.affinity,
    }
    return {field: value for field, value in place.items() if value}


def _toleration(toleration: Toleration) -> dict[str, str]:
    fields = {"key": toleration.key, "value": toleration.value, "effect": toleration.effect}
    return {"operator": toleration.operator, **{name: value for name, value in fields.items() if value}}
