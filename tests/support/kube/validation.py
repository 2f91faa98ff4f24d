"""What Kubernetes refuses although the types are right."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.kube import errors
from tests.support.kube.causes import Causes
from tests.support.kube.checks_job import check_job, check_job_update
from tests.support.kube.checks_pod import check_pod_spec
from tests.support.kube.custom import CustomSchema
from tests.support.kube.resources import CRDS, CRONJOBS, EVENTS, JOBS, LEASES, NAMESPACES, PODS, ResourceType

_MOST_BYTES = 1_572_864
"""What etcd takes."""


def check(
    resource: ResourceType,
    obj: dict[str, Any],
    missing: list[str],
    schema: CustomSchema | None,
    old: dict[str, Any] | None = None,
) -> None:
    """Refuse an object that Kubernetes would refuse.

    Raises
    ------
    ApiError
        422, or 413 if it is too large.
    """
    causes = Causes()
    for field in missing:
        if not field.startswith("status") and resource is not EVENTS and not field.endswith(".containers"):
            causes.required(field)
    _check_meta(causes, resource, obj["metadata"])
    name = obj["metadata"].get("name", "")
    try:
        if not causes:
            _check_kind(causes, resource, obj)
    except ValueError as error:
        raise errors.ApiError(
            400,
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {error}',
        ) from error
    if schema is not None:
        schema.check(causes, obj, old)
    if causes:
        raise errors.invalid(resource, name, causes)
    if len(json.dumps(obj)) > _MOST_BYTES:
        raise errors.ApiError(413, "Request entity too large: limit is 3145728")


def _check_meta(causes: Causes, resource: ResourceType, meta: dict[str, Any]) -> None:
    name = meta.get("name", "")
    if not name:
        causes.append(("metadata.name", "FieldValueRequired", "Required value: name or generateName is required"))
    elif resource is NAMESPACES:
        causes.label("metadata.name", name)
    else:
        causes.subdomain("metadata.name", name)
    causes.labels("metadata.labels", meta.get("labels"))
    causes.annotations("metadata.annotations", meta.get("annotations"))
    for i, finalizer in enumerate(meta.get("finalizers") or ()):
        if "/" not in finalizer and finalizer not in ("foregroundDeletion", "orphan", "kubernetes"):
            causes.invalid(
                f"metadata.finalizers[{i}]",
                finalizer,
                "name is neither a standard finalizer name nor is it fully qualified",
            )
        causes.qualified(f"metadata.finalizers[{i}]", finalizer)
    controllers = 0
    for i, owner in enumerate(meta.get("ownerReferences") or ()):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                causes.invalid(f"metadata.ownerReferences[{i}].{field}", "", f"{field} must not be empty")
        controllers += bool(owner.get("controller"))
    if controllers > 1:
        causes.invalid("metadata.ownerReferences", "", "Only one reference can have Controller set to true")


def _check_kind(causes: Causes, resource: ResourceType, obj: dict[str, Any]) -> None:
    if resource is JOBS:
        check_job(causes, obj)
    elif resource is PODS:
        check_pod_spec(causes, obj.get("spec") or {}, "spec")
    elif resource is CRONJOBS:
        _check_cronjob(causes, obj)
    elif resource is LEASES:
        _check_lease(causes, obj.get("spec") or {})
    elif resource is EVENTS:
        _check_event(causes, obj)
    elif resource is CRDS:
        _check_definition(causes, obj)


def _check_cronjob(causes: Causes, obj: dict[str, Any]) -> None:
    spec = obj.get("spec") or {}
    if len(obj["metadata"]["name"]) > 52:
        causes.invalid("metadata.name", obj["metadata"]["name"], "must be no more than 52 characters")
    if not spec.get("schedule"):
        causes.required("spec.schedule")
    causes.one_of("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace"))
    template = (spec.get("jobTemplate") or {}).get("spec", {}).get("template") or {}
    check_pod_spec(causes, template.get("spec") or {}, "spec.jobTemplate.spec.template.spec", job=True)


def _check_lease(causes: Causes, spec: dict[str, Any]) -> None:
    if spec.get("leaseDurationSeconds") is not None and spec["leaseDurationSeconds"] <= 0:
        causes.invalid("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0")
    causes.at_least("spec.leaseTransitions", spec.get("leaseTransitions"))
    if spec.get("holderIdentity") == "" and spec.get("strategy"):
        causes.invalid("spec.holderIdentity", "", "must not be empty")


def _check_event(causes: Causes, event: dict[str, Any]) -> None:
    about = (event.get("involvedObject") or {}).get("namespace", "")
    namespace = event["metadata"]["namespace"]
    if about != namespace and (about or namespace != "default"):
        causes.invalid("involvedObject.namespace", about, "does not match event.namespace")
    if not event.get("eventTime"):
        return
    for field in ("reportingComponent", "reportingInstance", "action", "reason"):
        if not event.get(field):
            causes.required("reportingController" if field == "reportingComponent" else field)
        elif len(event[field]) > 128:
            causes.invalid(field, event[field], "can have at most 128 characters")
    if len(event.get("message", "")) > 1024:
        causes.invalid("message", "", "can have at most 1024 characters")
    causes.one_of("type", event.get("type"), ("Normal", "Warning"))


def _check_definition(causes: Causes, crd: dict[str, Any]) -> None:
    spec, name = crd["spec"], crd["metadata"]["name"]
    wanted = f"{spec['names'].get('plural')}.{spec['group']}"
    if name != wanted:
        causes.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    causes.one_of("spec.scope", spec.get("scope"), ("Cluster", "Namespaced"))
    if sum(bool(one.get("storage")) for one in spec["versions"]) != 1:
        causes.invalid("spec.versions", "", "must have exactly one version marked as storage version")
    for i, version in enumerate(spec["versions"]):
        path = f"spec.versions[{i}]"
        if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", version["name"]):
            causes.invalid(f"{path}.name", version["name"], "a DNS-1035 label")
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            causes.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
        else:
            CustomSchema(schema).check_structure(causes, f"{path}.schema.openAPIV3Schema")


def check_update(resource: ResourceType, obj: dict[str, Any], old: dict[str, Any]) -> None:
    """Refuse a change that Kubernetes would refuse.

    Raises
    ------
    ApiError
        422.
    """
    causes = Causes()
    if "deletionTimestamp" in old["metadata"]:
        added = set(obj["metadata"].get("finalizers") or ()) - set(old["metadata"].get("finalizers") or ())
        if added:
            causes.forbidden(
                "metadata.finalizers",
                f"no new finalizers can be added if the object is being deleted, found new finalizers {sorted(added)}",
            )
    if resource is JOBS:
        check_job_update(causes, obj, old)
    elif resource is PODS:
        _check_pod_update(causes, obj, old)
    if causes:
        raise errors.invalid(resource, obj["metadata"]["name"], causes)


def _check_pod_update(causes: Causes, obj: dict[str, Any], old: dict[str, Any]) -> None:
    def fixed(pod: dict[str, Any]) -> dict[str, Any]:
        spec = {k: v for k, v in pod["spec"].items() if k not in ("activeDeadlineSeconds", "tolerations")}
        spec["containers"] = [{**one, "image": ""} for one in spec.get("containers") or ()]
        return spec

    if fixed(obj) != fixed(old):
        causes.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
            "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
            "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        )
