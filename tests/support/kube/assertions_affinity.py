"""What the API server refuses in an affinity although the schemas take it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.support.kube.assertions_words import is_dns_label, is_label_value, is_qualified, is_subdomain

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def affinity_problems(affinity: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with an affinity."""
    nodes = affinity.get("nodeAffinity", {})
    if _REQUIRED in nodes:
        terms = nodes[_REQUIRED].get("nodeSelectorTerms", ())
        if not terms:
            yield "nodeSelectorTerms are empty"
        for term in terms:
            yield from _node_term(term)
    for preferred in nodes.get(_PREFERRED, ()):
        yield from _weight(preferred)
        yield from _node_term(preferred.get("preference", {}))
    for kind in ("podAffinity", "podAntiAffinity"):
        pods = affinity.get(kind, {})
        for term in pods.get(_REQUIRED, ()):
            yield from _pod_term(term)
        for preferred in pods.get(_PREFERRED, ()):
            yield from _weight(preferred)
            yield from _pod_term(preferred.get("podAffinityTerm", {}))


def _weight(preferred: Mapping[str, Any]) -> Iterator[str]:
    if preferred.get("weight") not in range(1, 101):
        yield f"weight {preferred.get('weight')!r} isn't 1 to 100"


def _node_term(term: Mapping[str, Any]) -> Iterator[str]:
    yield from _requirements(term.get("matchExpressions", ()), {"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"})
    for field in term.get("matchFields", ()):
        values = field.get("values", ())
        if field.get("key") != "metadata.name" or field.get("operator") not in ("In", "NotIn") or len(values) != 1:
            yield f"{field} is no requirement of a field"
        elif not is_subdomain(values[0]):
            yield f"{values[0]!r} names no node"


def _requirements(requirements: Sequence[Mapping[str, Any]], operators: set[str]) -> Iterator[str]:
    for requirement in requirements:
        operator, values = requirement.get("operator"), requirement.get("values", ())
        if not is_qualified(requirement.get("key")) or operator not in operators:
            yield f"{requirement} is no requirement"
        if not all(is_label_value(value) for value in values):
            yield f"{requirement} has a value that is no label's"
        if operator in ("In", "NotIn") and not values:
            yield f"{requirement} needs values"
        if operator in ("Exists", "DoesNotExist") and values:
            yield f"{requirement} takes no values"
        if operator in ("Gt", "Lt") and (len(values) != 1 or not values[0].lstrip("-").isdecimal()):
            yield f"{requirement} needs one number"


def _pod_term(term: Mapping[str, Any]) -> Iterator[str]:
    if not is_qualified(term.get("topologyKey")):
        yield f"topologyKey {term.get('topologyKey')!r} names no label"
    for namespace in term.get("namespaces", ()):
        if not is_dns_label(namespace):
            yield f"{namespace!r} names no namespace"
    for field in ("labelSelector", "namespaceSelector"):
        selector = term.get(field, {})
        for name, value in selector.get("matchLabels", {}).items():
            if not is_qualified(name) or not is_label_value(value):
                yield f"{field} looks for {name}={value!r}"
        yield from _requirements(selector.get("matchExpressions", ()), {"In", "NotIn", "Exists", "DoesNotExist"})
    keys = [*term.get("matchLabelKeys", ()), *term.get("mismatchLabelKeys", ())]
    selector = term.get("labelSelector", {})
    used = {*selector.get("matchLabels", {}), *(one["key"] for one in selector.get("matchExpressions", ()))}
    if keys and ("labelSelector" not in term or len(set(keys)) != len(keys) or used & set(keys)):
        yield f"{term} has label keys that don't go together"
