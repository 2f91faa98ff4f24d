"""What Kubernetes refuses in a pod's volumes."""

from __future__ import annotations

from typing import Any

from tests.support.kube import quantities
from tests.support.kube.causes import Causes

_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def check_volumes(causes: Causes, volumes: list[dict[str, Any]], path: str) -> dict[str, Any]:
    """Find what is wrong with volumes; return them by name."""
    found: dict[str, Any] = {}
    for i, volume in enumerate(volumes):
        where, name = f"{path}[{i}]", volume.get("name", "")
        if not name:
            causes.required(f"{where}.name")
        else:
            causes.label(f"{where}.name", name)
        if name in found:
            causes.duplicate(f"{where}.name", name)
        found[name] = volume
        sources = [one for one in volume if one != "name"]
        for extra in sources[1:]:
            causes.forbidden(f"{where}.{extra}", "may not specify more than 1 volume type")
        if sources:
            _check_source(causes, sources[0], volume[sources[0]] or {}, where)
    return found


def _check_source(causes: Causes, kind: str, source: dict[str, Any], where: str) -> None:
    path = f"{where}.{kind}"
    if kind == "emptyDir":
        limit = source.get("sizeLimit")
        if limit is not None and quantities.parse(limit) < 0:
            causes.forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")
    elif kind == "secret" and not source.get("secretName"):
        causes.required(f"{path}.secretName")
    elif kind == "configMap" and not source.get("name"):
        causes.required(f"{path}.name")
    elif kind == "persistentVolumeClaim" and not source.get("claimName"):
        causes.required(f"{path}.claimName")
    elif kind == "hostPath" and not source.get("path"):
        causes.required(f"{path}.path")
    elif kind == "nfs":
        for name in ("server", "path"):
            if not source.get(name):
                causes.required(f"{path}.{name}")
        if source.get("path") and not source["path"].startswith("/"):
            causes.invalid(f"{path}.path", source["path"], "must be an absolute path")
    elif kind == "ephemeral":
        template = source.get("volumeClaimTemplate")
        if template is None:
            causes.required(f"{path}.volumeClaimTemplate")
        else:
            _check_claim(causes, template.get("spec") or {}, f"{path}.volumeClaimTemplate.spec")


def _check_claim(causes: Causes, spec: dict[str, Any], path: str) -> None:
    if not spec.get("accessModes"):
        causes.required(f"{path}.accessModes", "at least 1 access mode is required")
    for mode in spec.get("accessModes") or ():
        if mode not in _MODES:
            causes.unsupported(f"{path}.accessModes", mode, _MODES)
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        causes.required(f"{path}.resources[storage]")
    elif quantities.parse(storage) <= 0:
        causes.invalid(f"{path}.resources[storage]", storage, "must be greater than zero")
