"""What the API server fills in."""

from __future__ import annotations

from typing import Any

from tests.support.kube.resources import CRDS, CRONJOBS, JOBS, PODS, ResourceType

JOB_NAME = "batch.kubernetes.io/job-name"
JOB_UID = "batch.kubernetes.io/controller-uid"
TRACKING = "batch.kubernetes.io/job-tracking"
"""Finalizer of the Job controller's on pods."""
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def fill(resource: ResourceType, obj: dict[str, Any]) -> None:
    """Set the defaults of an object that is created."""
    if resource is JOBS:
        fill_job(obj)
    elif resource is CRONJOBS:
        fill_job_spec(obj["spec"].setdefault("jobTemplate", {}).setdefault("spec", {}))
    elif resource is PODS:
        fill_pod_spec(obj.setdefault("spec", {}), whole=True)
        obj["status"] = {"phase": "Pending", "qosClass": qos(obj["spec"])}
    elif resource is CRDS:
        obj["spec"].setdefault("conversion", {"strategy": "None"})
        names = obj["spec"].setdefault("names", {})
        names.setdefault("singular", str(names.get("kind", "")).lower())
        names.setdefault("listKind", str(names.get("kind", "")) + "List")


def fill_job(job: dict[str, Any]) -> None:
    """Set the defaults of a Job; labels and selector are its own if they are not given."""
    spec = job.setdefault("spec", {})
    fill_job_spec(spec)
    job["status"] = {}
    if spec.get("manualSelector"):
        return
    uid, name = job["metadata"]["uid"], job["metadata"]["name"]
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    for key, value in ((JOB_UID, uid), ("controller-uid", uid), (JOB_NAME, name), ("job-name", name)):
        labels.setdefault(key, value)
    selector = spec.setdefault("selector", {}).setdefault("matchLabels", {})
    selector.setdefault(JOB_UID, uid)
    own = job["metadata"].get("labels")
    if not own and labels:
        # a Job without labels gets those that its template was given
        given = {k: v for k, v in labels.items() if "controller-uid" not in k and "job-name" not in k}
        if given:
            job["metadata"]["labels"] = given


def fill_job_spec(spec: dict[str, Any]) -> None:
    """Set the defaults of a Job's spec."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    elif spec.get("parallelism") is None:
        spec["parallelism"] = 1
    per_index = spec.get("backoffLimitPerIndex") is not None
    spec.setdefault("backoffLimit", 2**31 - 1 if per_index else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    template = spec.setdefault("template", {})
    fill_pod_spec(template.setdefault("spec", {}), whole=False)


def fill_pod_spec(spec: dict[str, Any], *, whole: bool) -> None:
    """Set the defaults of a pod's spec; those that only pods have, not templates, if it is ``whole``."""
    if whole:
        spec.setdefault("restartPolicy", "Always")
        spec.setdefault("enableServiceLinks", True)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    if spec.get("serviceAccountName"):
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        _fill_container(container)
    for volume in spec.get("volumes") or ():
        for source in ("secret", "configMap", "projected", "downwardAPI"):
            if isinstance(volume.get(source), dict):
                volume[source].setdefault("defaultMode", 420)
        if set(volume) == {"name"}:
            volume["emptyDir"] = {}
        claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if claim:
            claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")


def _fill_container(container: dict[str, Any]) -> None:
    image = str(container.get("image", ""))
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    container.setdefault("imagePullPolicy", "IfNotPresent" if digest or tag not in ("", "latest") else "Always")
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    needs = container.setdefault("resources", {})
    for resource, quantity in (needs.get("limits") or {}).items():
        needs.setdefault("requests", {}).setdefault(resource, quantity)
    for variable in container.get("env") or ():
        field = (variable.get("valueFrom") or {}).get("fieldRef")
        if field:
            field.setdefault("apiVersion", "v1")


def admit_pod(pod: dict[str, Any]) -> None:
    """Set what admission adds to every pod: account, priority, tolerations of troubled nodes."""
    spec = pod["spec"]
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    tolerations = spec.setdefault("tolerations", [])
    for taint in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{taint}"
        if not any(
            one.get("key") in (key, None, "") and one.get("effect") in ("NoExecute", None) for one in tolerations
        ):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    if spec.get("automountServiceAccountToken", True):
        name = "kube-api-access-" + pod["metadata"]["uid"][:5]
        spec.setdefault("volumes", []).append({"name": name, "projected": {"defaultMode": 420, "sources": []}})
        for container in spec.get("containers", ()):
            mount = {"name": name, "readOnly": True, "mountPath": TOKEN_PATH}
            container.setdefault("volumeMounts", []).append(mount)


def qos(spec: dict[str, Any]) -> str:
    """Return the quality of service class that Kubernetes gives a pod."""
    containers = [*spec.get("initContainers", ()), *spec.get("containers", ())]
    wants = [(c.get("resources") or {}) for c in containers]
    cores = ("cpu", "memory")
    if not any(one.get(side, {}).get(name) for one in wants for side in ("requests", "limits") for name in cores):
        return "BestEffort"
    exact = all(
        one.get("limits", {}).get(name) and one.get("requests", {}).get(name) == one["limits"][name]
        for one in wants
        for name in cores
    )
    return "Guaranteed" if exact else "Burstable"
