"""Affinities as people write them into a profile."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def affinities(
    keys: SearchStrategy[str], values: SearchStrategy[str], names: SearchStrategy[str]
) -> SearchStrategy[dict[str, Any]]:
    """Affinities of such label keys, label values and node names; not every one is valid."""
    requirement = st.builds(
        lambda key, operator, found: {"key": key, "operator": operator, **({"values": found} if found else {})},
        keys,
        st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist", "Gt")),
        st.one_of(st.lists(values, max_size=2), st.just(["7"])),
    )
    field = st.builds(lambda name: {"key": "metadata.name", "operator": "In", "values": [name]}, names)
    node_term = st.fixed_dictionaries(
        {},
        optional={"matchExpressions": st.lists(requirement, max_size=2), "matchFields": st.lists(field, max_size=1)},
    )
    weight = st.one_of(st.integers(1, 100), st.integers())
    nodes = st.fixed_dictionaries(
        {},
        optional={
            _REQUIRED: st.fixed_dictionaries({"nodeSelectorTerms": st.lists(node_term, max_size=2)}),
            _PREFERRED: st.lists(st.fixed_dictionaries({"weight": weight, "preference": node_term}), max_size=2),
        },
    )
    selector = st.fixed_dictionaries(
        {},
        optional={
            "matchLabels": st.dictionaries(keys, values, max_size=2),
            "matchExpressions": st.lists(requirement, max_size=1),
        },
    )
    pod_term = st.fixed_dictionaries(
        {"topologyKey": keys},
        optional={
            "labelSelector": selector,
            "namespaceSelector": selector,
            "namespaces": st.lists(names, max_size=1),
            "matchLabelKeys": st.lists(keys, max_size=2),
            "mismatchLabelKeys": st.lists(keys, max_size=1),
        },
    )
    pods = st.fixed_dictionaries(
        {},
        optional={
            _REQUIRED: st.lists(pod_term, max_size=1),
            _PREFERRED: st.lists(st.fixed_dictionaries({"weight": weight, "podAffinityTerm": pod_term}), max_size=1),
        },
    )
    return st.fixed_dictionaries({}, optional={"nodeAffinity": nodes, "podAffinity": pods, "podAntiAffinity": pods})
