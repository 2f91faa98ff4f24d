"""What a Job's podFailurePolicy makes of a failed pod: FailJob rules, the only ones that our Jobs have."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.kube.meta import condition
from tests.support.kube.store import Object


def failure(job: Object, pods: Iterable[Object]) -> str | None:
    """Return the message with which a rule fails a Job; None if none does."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or ()
    for pod in pods:
        if pod["status"].get("phase") != "Failed":
            continue
        for index, rule in enumerate(rules):
            if rule["action"] == "FailJob" and (found := _match(rule, pod)):
                return f"{found} matching FailJob rule at index {index}"
    return None


def _match(rule: Object, pod: Object) -> str | None:
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    for pattern in rule.get("onPodConditions") or ():
        found = condition(pod, pattern["type"])
        if found is not None and found["status"] == pattern.get("status", "True"):
            return f"Pod {name} has condition {pattern['type']}"
    codes = rule.get("onExitCodes")
    for one in (pod["status"].get("containerStatuses") or ()) if codes else ():
        ended = (one.get("state") or {}).get("terminated")
        if ended is None or not ended["exitCode"] or codes.get("containerName", one["name"]) != one["name"]:
            continue
        if (ended["exitCode"] in codes["values"]) is (codes["operator"] == "In"):
            return f"Container {one['name']} for pod {name} failed with exit code {ended['exitCode']}"
    return None
