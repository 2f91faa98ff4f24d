"""The resources that the fake server knows, and how each behaves on writes."""

from __future__ import annotations

import functools
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class ResourceType:
    """A resource of the API.

    ``create_on_update``: whether a PUT to a free name makes the object. ``unconditional``: whether a PUT may come
    without a resourceVersion. ``returns_deleted``: whether a DELETE that is over at once answers with the object
    rather than a Status. All three differ between resources of Kubernetes.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    status: bool = False
    generation: bool = False
    create_on_update: bool = False
    unconditional: bool = True
    returns_deleted: bool = False
    short_names: tuple[str, ...] = ()
    custom: bool = False
    subresources: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResourceType) and self._place == other._place

    def __hash__(self) -> int:
        return hash(self._place)

    @functools.cached_property
    def _place(self) -> tuple[str, str, str]:
        return self.group, self.version, self.plural

    @property
    def group_version(self) -> str:
        """``batch/v1``, or ``v1`` in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """``jobs.batch``: how messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def kind_qualified(self) -> str:
        """``Job.batch``: how messages of validation name it."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def singular(self) -> str:
        """``job``."""
        return self.kind.lower()


JOBS = ResourceType("batch", "v1", "jobs", "Job", status=True, generation=True)
CRONJOBS = ResourceType("batch", "v1", "cronjobs", "CronJob", status=True, generation=True, short_names=("cj",))
PODS = ResourceType(
    "", "v1", "pods", "Pod", status=True, returns_deleted=True, short_names=("po",), subresources=("log", "eviction")
)
EVENTS = ResourceType("", "v1", "events", "Event", create_on_update=True, short_names=("ev",))
LEASES = ResourceType("coordination.k8s.io", "v1", "leases", "Lease", create_on_update=True, unconditional=False)
NAMESPACES = ResourceType("", "v1", "namespaces", "Namespace", namespaced=False, status=True, short_names=("ns",))
NODES = ResourceType("", "v1", "nodes", "Node", namespaced=False, status=True, short_names=("no",))
SECRETS = ResourceType("", "v1", "secrets", "Secret")
CONFIGMAPS = ResourceType("", "v1", "configmaps", "ConfigMap", short_names=("cm",))
ACCOUNTS = ResourceType("", "v1", "serviceaccounts", "ServiceAccount", short_names=("sa",), returns_deleted=True)
CLAIMS = ResourceType(
    "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", status=True, returns_deleted=True, short_names=("pvc",)
)
QUOTAS = ResourceType("", "v1", "resourcequotas", "ResourceQuota", status=True, short_names=("quota",))
PRIORITIES = ResourceType(
    "scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False, short_names=("pc",)
)
RUNTIMES = ResourceType("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", namespaced=False)
CRDS = ResourceType(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
    status=True,
    generation=True,
    unconditional=False,
    short_names=("crd",),
)

BUILTIN = (
    PODS,
    EVENTS,
    NAMESPACES,
    NODES,
    SECRETS,
    CONFIGMAPS,
    ACCOUNTS,
    CLAIMS,
    QUOTAS,
    JOBS,
    CRONJOBS,
    LEASES,
    PRIORITIES,
    RUNTIMES,
    CRDS,
)


class Registry:
    """What is served now: what is built in, and what CustomResourceDefinitions add."""

    def __init__(self) -> None:
        self._types = {(one.group, one.version, one.plural): one for one in BUILTIN}

    def find(self, group: str, version: str, plural: str) -> ResourceType | None:
        """Return a resource by its place in the URL."""
        return self._types.get((group, version, plural))

    def add(self, resource: ResourceType) -> None:
        """Serve one more."""
        self._types[(resource.group, resource.version, resource.plural)] = resource

    def drop(self, resource: ResourceType) -> None:
        """Serve one no longer."""
        self._types.pop((resource.group, resource.version, resource.plural), None)

    def all(self) -> list[ResourceType]:
        """Return everything that is served."""
        return list(self._types.values())

    def named(self, name: str) -> ResourceType:
        """Return a resource by plural, kind or short name, as ``kubectl`` does."""
        wanted = name.lower()
        for one in self._types.values():
            if wanted in (one.plural, one.kind.lower(), one.qualified, *one.short_names):
                return one
        raise KeyError(f'the server doesn\'t have a resource type "{name}"')
