"""The kinds of objects that the controller deals with, and where the API keeps them."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from fmdj_cloud.control.kube import labels


class Resource(NamedTuple):
    """A kind of namespaced objects.

    Attributes
    ----------
    group_version : str
        ``v1`` for the core group, else ``<group>/<version>``.
    plural : str
        Name of the kind in paths.
    """

    group_version: str
    plural: str

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Return the path of a collection, of one object or of a subresource of it."""
        root = "apis" if "/" in self.group_version else "api"
        parts = [root, self.group_version, "namespaces", quote(namespace, safe=""), self.plural]
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/" + "/".join(parts)


JOBS = Resource("batch/v1", "jobs")
PODS = Resource("v1", "pods")
EVENTS = Resource("v1", "events")
LEASES = Resource("coordination.k8s.io/v1", "leases")
FACEMAPRUNS = Resource(f"{labels.GROUP}/{labels.VERSION}", labels.PLURAL)


def parse_path(path: str) -> tuple[str, str]:
    """Return what a path of the API names: a resource (with its subresource), and an object's name or nothing.

    Examples
    --------
    >>> parse_path("/api/v1/namespaces/lab/pods/p1/log")
    ('pods/log', 'p1')
    >>> parse_path("/version")
    ('version', '')
    """
    parts = path.strip("/").split("/")
    skipped = {"api": 2, "apis": 3}.get(parts[0], 0)
    rest = parts[skipped:] or parts[-1:]
    if len(rest) > 2 and rest[0] == "namespaces":
        rest = rest[2:]
    resource, name, *subresource = [*rest, ""][: max(2, len(rest))]
    return "/".join([resource, *subresource]), name
