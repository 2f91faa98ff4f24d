"""What Kubernetes refuses in a Job."""

from __future__ import annotations

from typing import Any

from tests.support.kube.causes import Causes
from tests.support.kube.checks_pod import check_pod_spec
from tests.support.kube.defaults import JOB_NAME, JOB_UID

_FIXED = (
    *("completions", "selector", "podFailurePolicy", "completionMode", "podReplacementPolicy", "managedBy"),
    *("backoffLimitPerIndex", "maxFailedIndexes"),
)


def check_job(causes: Causes, job: dict[str, Any]) -> None:
    """Find what is wrong with a Job that has its defaults."""
    spec = job.get("spec") or {}
    for name in ("parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished", "activeDeadlineSeconds"):
        causes.at_least(f"spec.{name}", spec.get(name))
    causes.one_of("spec.completionMode", spec.get("completionMode"), ("NonIndexed", "Indexed"))
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        causes.required("spec.completions", "when completion mode is Indexed")
    _check_indexes(causes, job)
    causes.one_of("spec.podReplacementPolicy", spec.get("podReplacementPolicy"), ("Failed", "TerminatingOrFailed"))
    template = spec.get("template") or {}
    meta = template.get("metadata") or {}
    causes.labels("spec.template.labels", meta.get("labels"))
    causes.annotations("spec.template.annotations", meta.get("annotations"))
    if not spec.get("manualSelector"):
        _check_labels(causes, job, meta.get("labels") or {})
    check_pod_spec(causes, template.get("spec") or {}, "spec.template.spec", job=True)
    if spec.get("podFailurePolicy") is not None:
        _check_policy(causes, spec)


def _check_labels(causes: Causes, job: dict[str, Any], labels: dict[str, str]) -> None:
    uid, name = job["metadata"]["uid"], job["metadata"]["name"]
    for key, value in (("controller-uid", uid), ("job-name", name), (JOB_UID, uid), (JOB_NAME, name)):
        if labels.get(key) != value:
            causes.invalid("spec.template.metadata.labels", labels, f"must be '{value}'")
    selector = (job["spec"].get("selector") or {}).get("matchLabels") or {}
    if selector and any(labels.get(key) != value for key, value in selector.items()):
        causes.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    if selector.get(JOB_UID) != uid:
        causes.invalid("spec.selector", selector, "`selector` not auto-generated")


def _check_indexes(causes: Causes, job: dict[str, Any]) -> None:
    spec = job.get("spec") or {}
    per_index, most = spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
        causes.at_least(f"spec.{name}", spec.get(name))
    if spec.get("completionMode") != "Indexed":
        for name, value in (("backoffLimitPerIndex", per_index), ("maxFailedIndexes", most)):
            if value is not None:
                causes.invalid(f"spec.{name}", value, "requires indexed completion mode")
        return
    if most is not None and per_index is None:
        causes.required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    if most is not None and most > (spec.get("completions") or 0):
        causes.invalid("spec.maxFailedIndexes", most, "must be less than or equal to completions")
    host = f"{job['metadata'].get('name', '')}-{max(0, (spec.get('completions') or 1) - 1)}"
    if len(host) > 63:
        causes.invalid("spec.completions", spec.get("completions"), f"the host name {host} has more than 63 characters")


def _check_policy(causes: Causes, spec: dict[str, Any]) -> None:
    path = "spec.podFailurePolicy"
    restart = spec["template"]["spec"].get("restartPolicy")
    if restart != "Never":
        causes.invalid(
            "spec.template.spec.restartPolicy", restart, 'only "Never" is supported when podFailurePolicy is specified'
        )
    if spec.get("podReplacementPolicy") != "Failed":
        causes.unsupported("spec.podReplacementPolicy", spec.get("podReplacementPolicy"), ("Failed",))
    rules = spec["podFailurePolicy"].get("rules") or []
    if len(rules) > 20:
        causes.append((f"{path}.rules", "FieldValueTooMany", f"Too many: {len(rules)}: must have at most 20 items"))
    for i, rule in enumerate(rules):
        where = f"{path}.rules[{i}]"
        if not rule.get("action"):
            causes.required(f"{where}.action", 'valid values: "Count", "FailIndex", "FailJob", "Ignore"')
        causes.one_of(f"{where}.action", rule.get("action"), ("Count", "FailIndex", "FailJob", "Ignore"))
        if rule.get("action") == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            causes.invalid(f"{where}.action", "FailIndex", "requires the backoffLimitPerIndex to be set")
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if (codes is None) == (not conditions):
            causes.invalid(where, rule, "specifying one of OnExitCodes and OnPodConditions is required")
        if codes is not None:
            causes.one_of(f"{where}.onExitCodes.operator", codes.get("operator"), ("In", "NotIn"))
            values = codes.get("values") or []
            if not values:
                causes.invalid(f"{where}.onExitCodes.values", values, "at least one value is required")
            if values != sorted(set(values)) or len(values) > 255:
                causes.invalid(f"{where}.onExitCodes.values", values, "must be ordered, unique, and at most 255")
            if codes.get("operator") == "In" and 0 in values:
                causes.invalid(f"{where}.onExitCodes.values[0]", 0, "must not be 0 for the In operator")
        for j, pattern in enumerate(conditions or ()):
            if pattern.get("status") not in (None, "True", "False", "Unknown"):
                causes.unsupported(
                    f"{where}.onPodConditions[{j}].status", pattern["status"], ("False", "True", "Unknown")
                )


def check_job_update(causes: Causes, job: dict[str, Any], old: dict[str, Any]) -> None:
    """Find what may not be changed in a Job that exists."""
    new_spec, old_spec = job["spec"], old["spec"]
    for name in _FIXED:
        if new_spec.get(name) != old_spec.get(name):
            causes.invalid(f"spec.{name}", new_spec.get(name), "field is immutable")
    if new_spec["template"] == old_spec["template"]:
        return
    fresh = old_spec.get("suspend") and not (old.get("status") or {}).get("startTime")
    if not fresh or _without_place(new_spec["template"]) != _without_place(old_spec["template"]):
        causes.invalid("spec.template", "core.PodTemplateSpec{...}", "field is immutable")


def _without_place(template: dict[str, Any]) -> dict[str, Any]:
    """What stays fixed even while a Job waits in a queue."""
    spec = {
        name: value
        for name, value in template["spec"].items()
        if name not in ("nodeSelector", "tolerations", "schedulingGates")
    }
    spec["affinity"] = {k: v for k, v in (spec.get("affinity") or {}).items() if k != "nodeAffinity"}
    meta = {k: v for k, v in (template.get("metadata") or {}).items() if k not in ("labels", "annotations")}
    return {"spec": spec, "metadata": meta}
