"""Affinity of pods, as it stands in a PodSpec: its shape, so that a mistake shows at start and not at the first Job."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from fmdj_cloud.settings.base import Section
from fmdj_cloud.settings.kube_words import LABEL_KEY, LABEL_VALUE, NAME, check

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_INTEGER = re.compile(r"-?[0-9]{1,18}")


def _key(value: str) -> str:
    check(LABEL_KEY, "a label's name", [value])
    return value


def _value(value: str) -> str:
    check(LABEL_VALUE, "a label's value", [value])
    return value


def _namespace(value: str) -> str:
    check(_NAMESPACE, "a namespace", [value])
    return value


Key = Annotated[str, AfterValidator(_key)]
Value = Annotated[str, AfterValidator(_value)]
Namespace = Annotated[str, AfterValidator(_namespace)]
Weight = Annotated[int, Field(ge=1, le=100)]


class _Shape(Section):
    """Base: fields have Kubernetes' names."""

    model_config = ConfigDict(alias_generator=to_camel)


class _LabelRequirement(_Shape):
    """What labels of pods or namespaces must be."""

    key: Key
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[Value, ...] = ()

    @model_validator(mode="after")
    def _fitting(self) -> _LabelRequirement:
        _check_count(self.operator, self.values)
        return self


class _NodeRequirement(_Shape):
    """What labels of nodes must be."""

    key: Key
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: tuple[Value, ...] = ()

    @model_validator(mode="after")
    def _fitting(self) -> _NodeRequirement:
        _check_count(self.operator, self.values)
        if self.operator in ("Gt", "Lt"):
            check(_INTEGER, f"a whole number, as operator {self.operator} compares", self.values)
        return self


class _NodeField(_Shape):
    """What a node must be called."""

    key: Literal["metadata.name"]
    operator: Literal["In", "NotIn"]
    values: Annotated[tuple[str, ...], Field(min_length=1, max_length=1)]

    @model_validator(mode="after")
    def _fitting(self) -> _NodeField:
        check(NAME, "a node's name", self.values)
        return self


class _NodeTerm(_Shape):
    match_expressions: tuple[_NodeRequirement, ...] = ()
    match_fields: tuple[_NodeField, ...] = ()


class _NodeSelector(_Shape):
    node_selector_terms: Annotated[tuple[_NodeTerm, ...], Field(min_length=1)]


class _PreferredNodes(_Shape):
    weight: Weight
    preference: _NodeTerm


class _NodeAffinity(_Shape):
    required_during_scheduling_ignored_during_execution: _NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[_PreferredNodes, ...] = ()


class _LabelSelector(_Shape):
    match_labels: dict[Key, Value] = Field(default_factory=dict)
    match_expressions: tuple[_LabelRequirement, ...] = ()

    @property
    def keys(self) -> set[str]:
        """Labels that are looked at."""
        return {*self.match_labels, *(requirement.key for requirement in self.match_expressions)}


class _PodTerm(_Shape):
    topology_key: Key
    label_selector: _LabelSelector | None = None
    namespace_selector: _LabelSelector | None = None
    namespaces: tuple[Namespace, ...] = ()
    match_label_keys: tuple[Key, ...] = ()
    mismatch_label_keys: tuple[Key, ...] = ()

    @model_validator(mode="after")
    def _fitting(self) -> _PodTerm:
        keys = [*self.match_label_keys, *self.mismatch_label_keys]
        if keys and self.label_selector is None:
            raise ValueError("matchLabelKeys and mismatchLabelKeys need a labelSelector")
        used = [*keys, *(self.label_selector.keys if self.label_selector else ())]
        if len(set(keys)) != len(keys) or len(set(used)) != len(used):
            raise ValueError("a key stands in one of labelSelector, matchLabelKeys, mismatchLabelKeys only")
        return self


class _PreferredPods(_Shape):
    weight: Weight
    pod_affinity_term: _PodTerm


class _PodAffinity(_Shape):
    required_during_scheduling_ignored_during_execution: tuple[_PodTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[_PreferredPods, ...] = ()


class _Affinity(_Shape):
    node_affinity: _NodeAffinity | None = None
    pod_affinity: _PodAffinity | None = None
    pod_anti_affinity: _PodAffinity | None = None


def _check_count(operator: str, values: Iterable[str]) -> None:
    count = len(tuple(values))
    if operator in ("In", "NotIn") and not count:
        raise ValueError(f"operator {operator} needs values")
    if operator in ("Exists", "DoesNotExist") and count:
        raise ValueError(f"operator {operator} takes no values")
    if operator in ("Gt", "Lt") and count != 1:
        raise ValueError(f"operator {operator} takes one value")


def checked_affinity(value: dict[str, Any]) -> dict[str, Any]:
    """Return an affinity as it goes into a PodSpec.

    Parameters
    ----------
    value : dict
        As in a PodSpec: ``{"nodeAffinity": {...}}``.

    Raises
    ------
    ValueError
        If the API server would refuse it; the sentence names each place.
    """
    try:
        affinity = _Affinity.model_validate(value)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc'])) or 'affinity'}: {each['msg']}" for each in error.errors()]
        raise ValueError("; ".join(problems)) from error
    return affinity.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
