"""Our own assertions on manifests: what Kubernetes refuses, and schemas don't find.

`kubernetes-validate` finds wrong types, unknown and missing fields; it finds no bad enum, no bad name, no GPU request
without a limit. Everything here is derived from what the API server checks, never from the code under test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.support.kube.assertions_pod import pod_problems
from tests.support.kube.assertions_words import MAX_INT32, annotation_problems, is_dns_label, label_problems
from tests.support.kube.strict_schemas import SUPPORTED, schema_problems

POD_SUFFIX = 6
"""A Job's pod is called like the Job, and a dash and five characters."""
_ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_MAX_BYTES = 1_500_000


def job_problems(job: Mapping[str, Any]) -> list[str]:
    """Return what the API server would refuse in a Job, or never make a pod for, though the schemas take it."""
    meta, spec = job["metadata"], job["spec"]
    template = spec["template"]
    problems = [
        *_meta(meta),
        *_spec(spec),
        *pod_problems(template["spec"], template.get("metadata", {})),
    ]
    if len(json.dumps(job).encode()) > _MAX_BYTES:
        problems.append("the object is larger than etcd takes")
    return problems


def restricted_problems(pod: Mapping[str, Any]) -> list[str]:
    """Return what restricted Pod Security would refuse in a PodSpec."""
    context = pod.get("securityContext", {})
    problems = [
        f"pod: {field} is set" for field in ("hostNetwork", "hostPID", "hostIPC", "hostUsers") if pod.get(field)
    ]
    if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
        problems.append("pod may run as root")
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        problems.append("pod has no seccomp profile")
    if context.get("sysctls") or "windowsOptions" in context:
        problems.append("pod changes the host")
    for volume in pod.get("volumes", ()):
        if set(volume) - {"name"} - _ALLOWED_VOLUMES:
            problems.append(f"volume {volume['name']} is of a kind that isn't allowed")
    for container in [*pod.get("initContainers", ()), *pod.get("containers", ())]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            problems.append(f"container {container['name']} may gain privileges")
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
            problems.append(f"container {container['name']} keeps capabilities")
        if own.get("runAsUser") == 0 or own.get("runAsNonRoot") is False:
            problems.append(f"container {container['name']} may run as root")
    return problems


def assert_valid_job(job: Mapping[str, Any], versions: Sequence[str] = SUPPORTED) -> None:
    """Fail unless these versions of Kubernetes take a Job."""
    problems = [problem for version in versions for problem in schema_problems(job, version)]
    assert problems + job_problems(job) == []


def _meta(meta: Mapping[str, Any]) -> Iterator[str]:
    name = meta.get("name")
    if not is_dns_label(name) or len(name) > 63 - POD_SUFFIX:
        yield f"the name {name!r} leaves no room for a pod's"
    yield from label_problems("Job", meta.get("labels", {}))
    yield from annotation_problems("Job", meta.get("annotations", {}))


def _spec(spec: Mapping[str, Any]) -> Iterator[str]:
    for field in (
        *("parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished", "activeDeadlineSeconds"),
        *("backoffLimitPerIndex", "maxFailedIndexes"),
    ):
        number = spec.get(field)
        if number is not None and not 0 <= number <= MAX_INT32:
            yield f"{field}={number} is out of range"
    mode = spec.get("completionMode", "NonIndexed")
    if mode not in ("NonIndexed", "Indexed"):
        yield f"completionMode={mode!r} is unknown"
    if mode == "Indexed" and spec.get("completions") is None:
        yield "an Indexed Job needs completions"
    if mode == "NonIndexed" and "backoffLimitPerIndex" in spec:
        yield "backoffLimitPerIndex needs an Indexed Job"
    if "maxFailedIndexes" in spec and "backoffLimitPerIndex" not in spec:
        yield "maxFailedIndexes needs backoffLimitPerIndex"
    if spec.get("maxFailedIndexes", 0) > (spec.get("completions") or 0):
        yield "more indexes may fail than there are"
    replacement = spec.get("podReplacementPolicy", "TerminatingOrFailed")
    if replacement not in ("TerminatingOrFailed", "Failed"):
        yield f"podReplacementPolicy={replacement!r} is unknown"
    if spec["template"]["spec"].get("restartPolicy") not in ("Never", "OnFailure"):
        yield "the pod of a Job must not restart always"
    if "selector" in spec and not spec.get("manualSelector"):
        yield "Kubernetes chooses the selector itself"
    if "podFailurePolicy" in spec:
        yield from _failure_policy(spec)


def _failure_policy(spec: Mapping[str, Any]) -> Iterator[str]:
    if spec["template"]["spec"].get("restartPolicy") != "Never":
        yield "podFailurePolicy needs restartPolicy Never"
    if spec.get("podReplacementPolicy", "Failed") != "Failed":
        yield "podFailurePolicy needs podReplacementPolicy Failed"
    for rule in spec["podFailurePolicy"].get("rules", ()):
        if rule.get("action") not in ("FailJob", "FailIndex", "Ignore", "Count"):
            yield f"rule {rule} has an unknown action"
        if rule.get("action") == "FailIndex" and "backoffLimitPerIndex" not in spec:
            yield "FailIndex needs backoffLimitPerIndex"
        values = rule.get("onExitCodes", {}).get("values", [])
        if values != sorted(set(values)) or len(values) > 255:
            yield f"the exit codes of {rule} aren't in order"
