"""ResourceQuotas: what a namespace may hold and its pods may ask for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.support.kube import errors, quantities
from tests.support.kube.resources import JOBS, PODS, QUOTAS, ResourceType
from tests.support.kube.store import Object, Store

_COMPUTE = ("cpu", "memory", "ephemeral-storage")


def check(store: Store, resource: ResourceType, obj: Object) -> None:
    """Refuse an object that a quota has no room for.

    Raises
    ------
    ApiError
        403.
    """
    namespace = obj["metadata"]["namespace"]
    for quota in store.list(QUOTAS, namespace):
        hard: dict[str, Any] = quota.obj.get("spec", {}).get("hard") or {}
        wanted = {name: amount for name, amount in _usage(resource, obj).items() if name in hard}
        name = obj["metadata"]["name"]
        if resource is PODS:
            unsaid = sorted(one for one in hard if _compute(one) and one not in wanted)
            if unsaid:
                containers = ",".join(one["name"] for one in obj["spec"]["containers"])
                said = "; ".join(f"{one} for: {containers}" for one in unsaid)
                raise errors.forbidden(
                    PODS, name, f"failed quota: {quota.obj['metadata']['name']}: must specify {said}"
                )
        if not wanted:
            continue
        used = dict.fromkeys(wanted, Decimal(0))
        for entry in store.list(resource, namespace):
            for one, amount in _usage(resource, entry.obj).items():
                if one in used:
                    used[one] += amount
        over = sorted(one for one in wanted if used[one] + wanted[one] > quantities.parse(hard[one]))
        if over:
            raise errors.forbidden(
                resource,
                name,
                f"exceeded quota: {quota.obj['metadata']['name']}, "
                + ", ".join(
                    f"{word}: " + ",".join(f"{one}={amounts[one]}" for one in over)
                    for word, amounts in (("requested", wanted), ("used", used), ("limited", hard))
                ),
            )


def _compute(name: str) -> bool:
    return name.removeprefix("requests.").removeprefix("limits.") in _COMPUTE


def _usage(resource: ResourceType, obj: Object) -> dict[str, Decimal]:
    if resource is JOBS:
        return {"count/jobs.batch": Decimal(1)}
    usage = {"count/pods": Decimal(1)}
    if (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return usage
    usage["pods"] = Decimal(1)
    for container in obj["spec"]["containers"]:
        for side in ("requests", "limits"):
            for name, quantity in ((container.get("resources") or {}).get(side) or {}).items():
                names = [f"{side}.{name}", *([name] if side == "requests" and name in _COMPUTE else [])]
                for one in names:
                    usage[one] = usage.get(one, Decimal(0)) + quantities.parse(quantity)
    return usage
