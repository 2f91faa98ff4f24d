"""What the controller's account must be allowed to do, all of it in one namespace."""

from __future__ import annotations

from typing import NamedTuple

from fmdj_cloud.control.kube import labels


class Right(NamedTuple):
    """One verb on one kind of object; `resource` may name a subresource: ``pods/log``."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")


def _rights(group: str, resource: str, *verbs: str) -> tuple[Right, ...]:
    return tuple(Right(group, resource, verb) for verb in verbs)


RIGHTS = (
    *_rights("batch", "jobs", "create", "delete", "get", "list", "patch", "watch"),
    *_rights("", "pods", "list", "watch"),
    *_rights("", "pods/log", "get"),
    *_rights("", "events", "create", "list", "patch", "watch"),
    *_rights("coordination.k8s.io", "leases", "create", "get", "update"),
)
"""Without one of these the controller can't do its work."""
FACEMAPRUN_RIGHTS = (
    *_rights(labels.GROUP, labels.PLURAL, "list", "patch", "watch"),
    *_rights(labels.GROUP, f"{labels.PLURAL}/status", "patch"),
)
"""Likewise, where there are FacemapRuns."""
