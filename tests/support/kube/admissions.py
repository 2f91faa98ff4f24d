"""Admission: policies, quotas, references that must exist, and what a test wants refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.kube import defaults, errors, podsecurity, quotas
from tests.support.kube.behaviour import PodMatch, fits
from tests.support.kube.resources import ACCOUNTS, JOBS, NAMESPACES, PODS, PRIORITIES, RUNTIMES, ResourceType
from tests.support.kube.store import Key, Object, Store

_BUILT_IN = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
Refuser = Callable[[ResourceType, str], errors.ApiError]


@dataclass
class Refusal:
    """Objects of a resource that are refused when they are made; ``times`` None is for ever."""

    plural: str
    match: PodMatch
    error: Refuser
    times: int | None = None


def by_webhook(message: str = "images must be pinned by digest", hook: str = "policy.example.org") -> Refuser:
    """Be denied by an admission webhook, which answers what it likes."""
    said = f'admission webhook "{hook}" denied the request: {message}'
    return lambda resource, name: errors.ApiError(403, said, "Forbidden")


def by_broken_webhook(hook: str = "policy.example.org") -> Refuser:
    """Meet a webhook that can't be reached."""
    said = (
        f'Internal error occurred: failed calling webhook "{hook}": failed to call webhook: Post '
        f'"https://policy.lab.svc:443/validate?timeout=10s": context deadline exceeded'
    )
    return lambda resource, name: errors.ApiError(500, said)


def by_quota(message: str = "") -> Refuser:
    """Meet a quota that is used up."""

    def refuse(resource: ResourceType, name: str) -> errors.ApiError:
        count = f"count/{resource.qualified}" if resource.group else resource.plural
        said = message or f"exceeded quota: lab, requested: {count}=1, used: {count}=20, limited: {count}=20"
        return errors.forbidden(resource, name, said)

    return refuse


class Admissions:
    """Asked before an object is stored."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.refusals: list[Refusal] = []

    def __call__(self, resource: ResourceType, obj: Object, verb: str) -> None:
        if verb != "create":
            return
        if resource is PODS:
            self._pod(obj)
        for refusal in self.refusals:
            if refusal.plural == resource.plural and refusal.times != 0 and fits(refusal.match, obj):
                if refusal.times is not None:
                    refusal.times -= 1
                raise refusal.error(resource, obj["metadata"]["name"])
        if resource in (PODS, JOBS):
            quotas.check(self._store, resource, obj)

    def _pod(self, pod: Object) -> None:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        account = pod["spec"].get("serviceAccountName") or "default"
        if self._store.get(ACCOUNTS, Key(namespace, account)) is None:
            why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
            raise errors.forbidden(PODS, name, why)
        wanted = pod["spec"].get("priorityClassName")
        if wanted:
            found = self._store.get(PRIORITIES, Key("", wanted))
            if found is None and wanted not in _BUILT_IN:
                raise errors.forbidden(PODS, name, f"no PriorityClass with name {wanted} was found")
            pod["spec"]["priority"] = _BUILT_IN[wanted] if found is None else found.obj.get("value", 0)
        runtime = pod["spec"].get("runtimeClassName")
        if runtime and self._store.get(RUNTIMES, Key("", runtime)) is None:
            raise errors.forbidden(PODS, name, f'pod rejected: RuntimeClass "{runtime}" not found')
        place = self._store.get(NAMESPACES, Key("", namespace))
        labels = {} if place is None else place.obj["metadata"].get("labels") or {}
        level = labels.get("pod-security.kubernetes.io/enforce", "privileged")
        found_wrong = podsecurity.violations(pod["spec"], level)
        if found_wrong:
            raise errors.forbidden(PODS, name, f'violates PodSecurity "{level}:latest": {", ".join(found_wrong)}')
        defaults.admit_pod(pod)
