"""What a Job's podFailurePolicy makes of a failed pod: the first rule that matches."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.kube.meta import condition
from tests.support.kube.store import Object


def failure(job: Object, pods: Iterable[Object]) -> str | None:
    """Return the message with which a rule fails a Job; None if none does."""
    for pod in pods:
        index, rule, found = _first(job, pod)
        if rule is not None and rule["action"] == "FailJob":
            return f"{found} matching FailJob rule at index {index}"
    return None


def action(job: Object, pod: Object) -> str:
    """Return what is done about a failed pod: it counts where no rule says otherwise."""
    _, rule, _ = _first(job, pod)
    return "Count" if rule is None else str(rule["action"])


def _first(job: Object, pod: Object) -> tuple[int, Object | None, str]:
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or ()
    if pod["status"].get("phase") == "Failed":
        for index, rule in enumerate(rules):
            found = _match(rule, pod)
            if found:
                return index, rule, found
    return 0, None, ""


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
