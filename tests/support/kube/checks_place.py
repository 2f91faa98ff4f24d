"""What Kubernetes refuses in node selectors, affinity and tolerations."""

from __future__ import annotations

from typing import Any

from tests.support.kube.causes import Causes

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def check_place(causes: Causes, spec: dict[str, Any], path: str) -> None:
    """Find what is wrong with where a pod wants to go."""
    causes.labels(f"{path}.nodeSelector", spec.get("nodeSelector"))
    for i, toleration in enumerate(spec.get("tolerations") or ()):
        _check_toleration(causes, toleration, f"{path}.tolerations[{i}]")
    affinity = spec.get("affinity") or {}
    if affinity.get("nodeAffinity") is not None:
        _check_node_affinity(causes, affinity["nodeAffinity"], f"{path}.affinity.nodeAffinity")
    for kind in ("podAffinity", "podAntiAffinity"):
        if affinity.get(kind) is not None:
            _check_pod_affinity(causes, affinity[kind], f"{path}.affinity.{kind}")


def _check_toleration(causes: Causes, toleration: dict[str, Any], path: str) -> None:
    key, operator = toleration.get("key") or "", toleration.get("operator") or ""
    if key:
        causes.qualified(f"{path}.key", key)
    if not key and operator != "Exists":
        causes.invalid(
            f"{path}.operator",
            operator,
            'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        )
    if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
        causes.invalid(
            f"{path}.effect", toleration.get("effect"), "effect must be 'NoExecute' when `tolerationSeconds` is set"
        )
    if operator in ("Equal", ""):
        value = toleration.get("value") or ""
        if value:
            causes.label_value(f"{path}.operator", value)
    elif operator == "Exists":
        if toleration.get("value"):
            causes.invalid(f"{path}.operator", toleration, "value must be empty when `operator` is 'Exists'")
    elif operator not in ("Lt", "Gt"):
        causes.unsupported(f"{path}.operator", operator, ("Equal", "Exists"))
    if toleration.get("effect"):
        causes.one_of(f"{path}.effect", toleration["effect"], _EFFECTS)


def _check_node_affinity(causes: Causes, affinity: dict[str, Any], path: str) -> None:
    required = affinity.get(_REQUIRED)
    if required is not None:
        terms = required.get("nodeSelectorTerms") or []
        if not terms:
            causes.required(f"{path}.{_REQUIRED}.nodeSelectorTerms", "must have at least one node selector term")
        for i, term in enumerate(terms):
            _check_node_term(causes, term, f"{path}.{_REQUIRED}.nodeSelectorTerms[{i}]")
    for i, one in enumerate(affinity.get(_PREFERRED) or ()):
        _check_weight(causes, one, f"{path}.{_PREFERRED}[{i}]")
        _check_node_term(causes, one.get("preference") or {}, f"{path}.{_PREFERRED}[{i}].preference")


def _check_weight(causes: Causes, one: dict[str, Any], path: str) -> None:
    weight = one.get("weight") or 0
    if not 1 <= weight <= 100:
        causes.invalid(f"{path}.weight", weight, "must be in the range 1-100")


def _check_node_term(causes: Causes, term: dict[str, Any], path: str) -> None:
    for i, one in enumerate(term.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{i}]"
        operator, values = one.get("operator", ""), one.get("values") or []
        causes.qualified(f"{where}.key", one.get("key", ""))
        if operator in ("In", "NotIn"):
            if not values:
                causes.required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'")
            for j, value in enumerate(values):
                causes.label_value(f"{where}.values[{j}]", value)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                causes.forbidden(
                    f"{where}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                )
        elif operator in ("Gt", "Lt"):
            if len(values) != 1:
                causes.required(f"{where}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
        else:
            causes.invalid(f"{where}.operator", operator, "not a valid selector operator")
    for i, one in enumerate(term.get("matchFields") or ()):
        if one.get("operator") not in ("In", "NotIn"):
            causes.invalid(f"{path}.matchFields[{i}].operator", one.get("operator"), "not a valid selector operator")
        if one.get("key") != "metadata.name":
            causes.invalid(f"{path}.matchFields[{i}].key", one.get("key"), "not a valid field selector key")


def _check_pod_affinity(causes: Causes, affinity: dict[str, Any], path: str) -> None:
    for i, term in enumerate(affinity.get(_REQUIRED) or ()):
        _check_pod_term(causes, term, f"{path}.{_REQUIRED}[{i}]")
    for i, one in enumerate(affinity.get(_PREFERRED) or ()):
        _check_weight(causes, one, f"{path}.{_PREFERRED}[{i}]")
        _check_pod_term(causes, one.get("podAffinityTerm") or {}, f"{path}.{_PREFERRED}[{i}].podAffinityTerm")


def _check_pod_term(causes: Causes, term: dict[str, Any], path: str) -> None:
    key = term.get("topologyKey") or ""
    if not key:
        causes.required(f"{path}.topologyKey", "can not be empty")
        return
    causes.qualified(f"{path}.topologyKey", key)
    check_selector(causes, term.get("labelSelector") or {}, f"{path}.labelSelector")


def check_selector(causes: Causes, selector: dict[str, Any], path: str) -> None:
    """Find what is wrong with a LabelSelector."""
    causes.labels(f"{path}.matchLabels", selector.get("matchLabels"))
    for i, one in enumerate(selector.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{i}]"
        operator, values = one.get("operator", ""), one.get("values") or []
        causes.qualified(f"{where}.key", one.get("key", ""))
        if operator in ("In", "NotIn"):
            if not values:
                causes.required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                causes.forbidden(
                    f"{where}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                )
        else:
            causes.invalid(f"{where}.operator", operator, "not a valid selector operator")
