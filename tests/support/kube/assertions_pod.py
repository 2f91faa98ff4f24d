"""What the API server refuses in a PodSpec although the schemas take it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.support.kube.assertions_affinity import affinity_problems
from tests.support.kube.assertions_words import (
    MAX_INT32,
    annotation_problems,
    is_dns_label,
    is_qualified,
    is_secret_key,
    is_subdomain,
    label_problems,
    quantity,
)

_ENUMS = {
    "restartPolicy": {"Always", "OnFailure", "Never"},
    "dnsPolicy": {"ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"},
    "preemptionPolicy": {"Never", "PreemptLowerPriority"},
}
_CONTAINER_ENUMS = {
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "terminationMessagePolicy": {"File", "FallbackToLogsOnError"},
}
_FIELDS = {f"metadata.{name}" for name in ("name", "namespace", "uid")} | {
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.podIP",
}
_STANDARD = {"cpu", "memory", "ephemeral-storage"}


def pod_problems(spec: Mapping[str, Any], meta: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a PodSpec and the metadata of its pod."""
    return [
        *label_problems("pod", meta.get("labels", {})),
        *annotation_problems("pod", meta.get("annotations", {})),
        *_judged_annotations(meta.get("annotations", {})),
        *_choices("pod", spec, _ENUMS),
        *_names(spec),
        *_security(spec.get("securityContext", {})),
        *label_problems("nodeSelector", spec.get("nodeSelector", {})),
        *_tolerations(spec.get("tolerations", ())),
        *affinity_problems(spec.get("affinity", {})),
        *_volumes(spec.get("volumes", ())),
        *_containers(spec),
    ]


def _judged_annotations(annotations: Mapping[str, str]) -> Iterator[str]:
    for name in annotations:
        if name == "kubernetes.io/config.mirror" or name.startswith(
            ("container.apparmor.security.beta.kubernetes.io/", "seccomp.security.alpha.kubernetes.io/pod")
        ):
            yield f"annotation {name} is judged by Kubernetes"
    cost = annotations.get("controller.kubernetes.io/pod-deletion-cost", "0")
    if not cost.lstrip("-").isdecimal():
        yield f"pod-deletion-cost {cost!r} is no integer"


def _choices(where: str, owner: Mapping[str, Any], enums: Mapping[str, set[str]]) -> Iterator[str]:
    for field, known in enums.items():
        if field in owner and owner[field] not in known:
            yield f"{where}: {field}={owner[field]!r} is none of {sorted(known)}"


def _names(spec: Mapping[str, Any]) -> Iterator[str]:
    for field in ("serviceAccountName", "priorityClassName", "runtimeClassName", "nodeName"):
        if field in spec and not is_subdomain(spec[field]):
            yield f"{field}={spec[field]!r} is no name"
    for secret in spec.get("imagePullSecrets", ()):
        if not is_subdomain(secret.get("name")):
            yield f"imagePullSecrets: {secret} names no Secret"
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        yield "terminationGracePeriodSeconds is negative"
    if spec.get("activeDeadlineSeconds", 1) not in range(1, MAX_INT32 + 1):
        yield "activeDeadlineSeconds is out of range"


def _security(context: Mapping[str, Any]) -> Iterator[str]:
    ids = [(field, context[field]) for field in ("runAsUser", "runAsGroup", "fsGroup") if field in context]
    ids += [("supplementalGroups", group) for group in context.get("supplementalGroups", ())]
    for field, number in ids:
        if not 0 <= number <= MAX_INT32:
            yield f"{field}={number} is out of range"
    yield from _choices("securityContext", context, {"fsGroupChangePolicy": {"OnRootMismatch", "Always"}})
    profile = context.get("seccompProfile")
    if profile and profile.get("type") not in ("RuntimeDefault", "Unconfined", "Localhost"):
        yield f"seccompProfile {profile} has no known type"


def _tolerations(tolerations: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for toleration in tolerations:
        key, operator, value = (toleration.get(field, "") for field in ("key", "operator", "value"))
        if key and not is_qualified(key):
            yield f"toleration key {key!r} names no taint"
        if not key and operator != "Exists":
            yield f"{toleration} needs operator Exists"
        if operator not in ("", "Equal", "Exists"):
            yield f"toleration operator {operator!r} is unknown"
        if operator == "Exists" and value:
            yield f"{toleration} takes no value"
        yield from label_problems("toleration", {"value": value})
        if toleration.get("effect", "") not in ("", "NoSchedule", "PreferNoSchedule", "NoExecute"):
            yield f"toleration effect {toleration['effect']!r} is unknown"
        if "tolerationSeconds" in toleration and toleration.get("effect") != "NoExecute":
            yield f"{toleration}: tolerationSeconds needs NoExecute"


def _volumes(volumes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = [volume.get("name") for volume in volumes]
    if len(set(names)) != len(names):
        yield f"volumes have the same name: {names}"
    for volume in volumes:
        sources = [field for field in volume if field != "name"]
        if not is_dns_label(volume.get("name")) or len(sources) != 1:
            yield f"volume {volume} needs a name and one source"
            continue
        yield from _volume(sources[0], volume[sources[0]])


def _volume(kind: str, source: Mapping[str, Any]) -> Iterator[str]:
    if kind == "emptyDir":
        yield from _choices("emptyDir", source, {"medium": {"", "Memory", "HugePages"}})
        size = quantity(source.get("sizeLimit", "1"))
        if size is None or size < 0:
            yield f"emptyDir has the size {source['sizeLimit']!r}"
    elif kind == "persistentVolumeClaim":
        if not is_subdomain(source.get("claimName")):
            yield f"{source} names no claim"
    elif kind == "secret":
        if not is_subdomain(source.get("secretName")):
            yield f"{source} names no Secret"
    elif kind == "configMap":
        if not is_subdomain(source.get("name")):
            yield f"{source} names no ConfigMap"
    elif kind == "nfs":
        if not source.get("server") or not str(source.get("path", "")).startswith("/"):
            yield f"{source} names no NFS export"
    elif kind == "ephemeral":
        template = source["volumeClaimTemplate"]
        yield from label_problems("claim", template.get("metadata", {}).get("labels", {}))
        claim = template["spec"]
        modes = claim.get("accessModes", ())
        if not modes or set(modes) - {"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"}:
            yield f"claim has the access modes {modes}"
        size = quantity(claim.get("resources", {}).get("requests", {}).get("storage"))
        if size is None or size <= 0:
            yield f"claim {claim} asks for no storage"
        if "storageClassName" in claim and not is_subdomain(claim["storageClassName"]):
            yield f"{claim['storageClassName']!r} names no StorageClass"


def _containers(spec: Mapping[str, Any]) -> Iterator[str]:
    containers = spec.get("containers", ())
    volumes = {volume["name"] for volume in spec.get("volumes", ())}
    if not containers:
        yield "there is no container"
    for container in containers:
        name, image = container.get("name"), container.get("image", "")
        if not is_dns_label(name):
            yield f"container {name!r} has no name"
        if not image or image != image.strip():
            yield f"container {name} has the image {image!r}"
        yield from _choices(f"container {name}", container, _CONTAINER_ENUMS)
        yield from _mounts(container.get("volumeMounts", ()), volumes)
        yield from _variables(container.get("env", ()))
        yield from resource_problems(container.get("resources", {}))


def _mounts(mounts: Sequence[Mapping[str, Any]], volumes: set[str]) -> Iterator[str]:
    paths = [mount.get("mountPath", "") for mount in mounts]
    if len({path.rstrip("/") for path in paths}) != len(paths):
        yield f"mounts have the same path: {paths}"
    for mount in mounts:
        path, below = mount.get("mountPath", ""), mount.get("subPath", "")
        if mount.get("name") not in volumes:
            yield f"mount {mount} has no volume"
        if not path.startswith("/") or ":" in path or "\x00" in path:
            yield f"mount path {path!r} is refused"
        if below.startswith("/") or ".." in below.split("/"):
            yield f"sub path {below!r} is refused"


def _variables(env: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = [variable.get("name") for variable in env]
    if len(set(names)) != len(names):
        yield f"variables are set twice: {names}"
    for variable in env:
        name, source = variable.get("name", ""), variable.get("valueFrom")
        if not name or name[0].isdigit() or set(name) - set(_VARIABLE_LETTERS) or name in (".", ".."):
            yield f"variable {name!r} has no name that 1.31 takes"
        if "\x00" in variable.get("value", ""):
            yield f"variable {name} can't be given to a process"
        if source is None:
            continue
        if "value" in variable or len(source) != 1:
            yield f"variable {name} has several sources"
        if "fieldRef" in source and source["fieldRef"].get("fieldPath") not in _FIELDS:
            yield f"variable {name} asks for an unknown field"
        reference = source.get("secretKeyRef")
        if reference and not (is_subdomain(reference.get("name")) and is_secret_key(reference.get("key"))):
            yield f"variable {name} refers to {reference}"


_VARIABLE_LETTERS = "-._ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def resource_problems(resources: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the resources of a container."""
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for name, text in [*requests.items(), *limits.items()]:
        value = quantity(text)
        if name not in _STANDARD and not _is_extended(name):
            yield f"{name!r} is no resource of a container"
        if value is None or value < 0:
            yield f"{name}={text!r} is no quantity"
        elif _is_extended(name) and value != value.to_integral_value():
            yield f"{name}={text} isn't whole"
        elif value == 0:
            yield f"{name}=0 asks for nothing"
    for name, text in requests.items():
        given = limits.get(name)
        if given is None:
            if _is_extended(name):
                yield f"{name} is requested without a limit"
        elif (quantity(text) or 0) > (quantity(given) or 0) or (
            _is_extended(name) and quantity(text) != quantity(given)
        ):
            yield f"{name}: request {text} and limit {given} don't go together"


def _is_extended(name: str) -> bool:
    return (
        "/" in name
        and "kubernetes.io/" not in name
        and not name.startswith("requests.")
        and is_qualified(f"requests.{name}")
    )
