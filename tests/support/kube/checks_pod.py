"""What Kubernetes refuses in a pod's spec."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from tests.support.kube import quantities
from tests.support.kube.causes import Causes
from tests.support.kube.checks_place import check_place
from tests.support.kube.checks_volumes import check_volumes

_ENV = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_FIELDS = re.compile(
    r"metadata\.(name|namespace|uid|labels\['[^']+'\]|annotations\['[^']+'\])|spec\.(nodeName|serviceAccountName)|"
    r"status\.(hostIP|hostIPs|podIP|podIPs)"
)
_STANDARD = ("cpu", "memory", "ephemeral-storage")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def check_pod_spec(causes: Causes, spec: dict[str, Any], path: str, *, job: bool = False) -> None:
    """Find what is wrong with the spec of a pod, or of a Job's template."""
    restart = spec.get("restartPolicy")
    if job:
        if restart not in ("OnFailure", "Never"):
            causes.append(
                (
                    f"{path}.restartPolicy",
                    "FieldValueRequired" if restart is None else "FieldValueNotSupported",
                    'Required value: valid values: "OnFailure", "Never"'
                    if restart is None
                    else f'Unsupported value: "{restart}": supported values: "OnFailure", "Never"',
                )
            )
    else:
        causes.one_of(f"{path}.restartPolicy", restart, ("Always", "OnFailure", "Never"))
    causes.one_of(
        f"{path}.dnsPolicy", spec.get("dnsPolicy"), ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
    )
    causes.at_least(f"{path}.terminationGracePeriodSeconds", spec.get("terminationGracePeriodSeconds"))
    causes.at_least(f"{path}.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"), 1)
    for name in ("serviceAccountName", "priorityClassName", "runtimeClassName", "schedulerName", "nodeName"):
        if spec.get(name):
            causes.subdomain(f"{path}.{name}", spec[name])
    volumes = check_volumes(causes, spec.get("volumes") or [], f"{path}.volumes")
    check_place(causes, spec, path)
    _check_security(causes, spec.get("securityContext") or {}, f"{path}.securityContext")
    if not spec.get("containers"):
        causes.required(f"{path}.containers")
    names: set[str] = set()
    for kind in ("initContainers", "containers"):
        for i, container in enumerate(spec.get(kind) or ()):
            _check_container(causes, container, f"{path}.{kind}[{i}]", volumes, names)


def _check_container(
    causes: Causes, container: dict[str, Any], path: str, volumes: dict[str, Any], names: set[str]
) -> None:
    name = container.get("name", "")
    if not name:
        causes.required(f"{path}.name")
    else:
        causes.label(f"{path}.name", name)
    if name in names:
        causes.duplicate(f"{path}.name", name)
    names.add(name)
    image = container.get("image", "")
    if not image:
        causes.required(f"{path}.image")
    elif image != image.strip():
        causes.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    causes.one_of(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), ("Always", "IfNotPresent", "Never"))
    policies = ("File", "FallbackToLogsOnError")
    causes.one_of(f"{path}.terminationMessagePolicy", container.get("terminationMessagePolicy"), policies)
    _check_env(causes, container.get("env") or [], f"{path}.env")
    _check_mounts(causes, container.get("volumeMounts") or [], f"{path}.volumeMounts", volumes)
    check_resources(causes, container.get("resources") or {}, f"{path}.resources")
    _check_security(causes, container.get("securityContext") or {}, f"{path}.securityContext")
    security = container.get("securityContext") or {}
    if security.get("privileged") and security.get("allowPrivilegeEscalation") is False:
        causes.invalid(
            f"{path}.securityContext",
            security,
            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        )


def _check_env(causes: Causes, env: list[dict[str, Any]], path: str) -> None:
    for i, variable in enumerate(env):
        name, source = variable.get("name", ""), variable.get("valueFrom")
        if not name:
            causes.required(f"{path}[{i}].name")
        elif not _ENV.fullmatch(name):
            causes.invalid(
                f"{path}[{i}].name",
                name,
                "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', "
                "and must not start with a digit",
            )
        if source is None:
            continue
        given = [one for one in _SOURCES if one in source]
        if len(given) != 1:
            detail = "must specify one of" if not given else "may not have more than one field specified at a time"
            causes.invalid(f"{path}[{i}].valueFrom", "", f"{detail}: {', '.join(f'`{one}`' for one in _SOURCES)}")
        elif variable.get("value"):
            causes.invalid(f"{path}[{i}].valueFrom", "", "may not be specified when `value` is not empty")
        where = f"{path}[{i}].valueFrom"
        for kind in ("secretKeyRef", "configMapKeyRef"):
            reference = source.get(kind)
            if reference is None:
                continue
            if not reference.get("name"):
                causes.required(f"{where}.{kind}.name")
            if not reference.get("key"):
                causes.required(f"{where}.{kind}.key")
            elif not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", reference["key"]):
                causes.invalid(
                    f"{where}.{kind}.key",
                    reference["key"],
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                )
        field = (source.get("fieldRef") or {}).get("fieldPath")
        if "fieldRef" in source and not _FIELDS.fullmatch(field or ""):
            causes.invalid(
                f"{where}.fieldRef.fieldPath", field, "error converting fieldPath: field label not supported"
            )


def _check_mounts(causes: Causes, mounts: list[dict[str, Any]], path: str, volumes: dict[str, Any]) -> None:
    places: set[str] = set()
    for i, mount in enumerate(mounts):
        if not mount.get("name"):
            causes.required(f"{path}[{i}].name")
        elif mount["name"] not in volumes:
            causes.missing(f"{path}[{i}].name", mount["name"])
        place = mount.get("mountPath", "")
        if not place:
            causes.required(f"{path}[{i}].mountPath")
        elif place in places:
            causes.invalid(f"{path}[{i}].mountPath", place, "must be unique")
        elif ":" in place:
            causes.invalid(f"{path}[{i}].mountPath", place, "must not contain ':'")
        places.add(place)
        below = mount.get("subPath") or ""
        if below.startswith("/"):
            causes.invalid(f"{path}[{i}].subPath", below, "must be a relative path")
        if ".." in below.split("/"):
            causes.invalid(f"{path}[{i}].subPath", below, "must not contain '..'")


def check_resources(causes: Causes, needs: dict[str, Any], path: str) -> None:
    """Find what is wrong with requests and limits."""
    amounts: dict[str, dict[str, Decimal]] = {"limits": {}, "requests": {}}
    for side, found in amounts.items():
        for name, quantity in (needs.get(side) or {}).items():
            where = f"{path}.{side}[{name}]"
            causes.qualified(where, name)
            if "/" not in name and name not in _STANDARD and not name.startswith(("hugepages-", "attachable-volumes-")):
                causes.invalid(where, name, "must be a standard resource for containers")
            amount = quantities.parse(quantity)
            found[name] = amount
            if amount < 0:
                causes.invalid(where, quantity, "must be greater than or equal to 0")
            if "/" in name and amount != int(amount):
                causes.invalid(where, quantity, "must be an integer")
    for name, amount in amounts["requests"].items():
        limit = amounts["limits"].get(name)
        quantity = needs["requests"][name]
        if "/" in name and limit is None:
            causes.required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        elif "/" in name and limit != amount:
            causes.invalid(f"{path}.requests", quantity, f"must be equal to {name} limit of {needs['limits'][name]}")
        elif limit is not None and amount > limit:
            causes.invalid(
                f"{path}.requests",
                quantity,
                f"must be less than or equal to {name} limit of {needs['limits'][name]}",
            )


def _check_security(causes: Causes, security: dict[str, Any], path: str) -> None:
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        value = security.get(name)
        if value is not None and not 0 <= value <= 2147483647:
            causes.invalid(f"{path}.{name}", value, "must be between 0 and 2147483647, inclusive")
    for i, group in enumerate(security.get("supplementalGroups") or ()):
        if not 0 <= group <= 2147483647:
            causes.invalid(f"{path}.supplementalGroups[{i}]", group, "must be between 0 and 2147483647, inclusive")
    causes.one_of(f"{path}.fsGroupChangePolicy", security.get("fsGroupChangePolicy"), ("Always", "OnRootMismatch"))
    seccomp = security.get("seccompProfile")
    if seccomp is not None:
        if not seccomp.get("type"):
            causes.required(f"{path}.seccompProfile.type", "type is required when seccompProfile is set")
        causes.one_of(f"{path}.seccompProfile.type", seccomp.get("type"), ("Localhost", "RuntimeDefault", "Unconfined"))
