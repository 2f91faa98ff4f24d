"""Label and field selectors, parsed once and asked often."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.kube.errors import ApiError
from tests.support.kube.resources import EVENTS, JOBS, PODS, ResourceType

Match = Callable[[Mapping[str, Any]], bool]

_SET = re.compile(r"([^\s!=,()]+)\s+(in|notin)\s*\(([^)]*)\)")
_EQUAL = re.compile(r"([^\s!=,()]+)\s*(==|=|!=)\s*([^\s,()]*)")
_EXISTS = re.compile(r"(!?)\s*([^\s!=,()]+)")
_PATHS = {
    PODS: (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    JOBS: ("status.successful",),
    EVENTS: (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
}


def parse_labels(text: str) -> Match:
    """Return whether labels match a selector like ``a=b,c in (d,e),!f``.

    Raises
    ------
    ApiError
        400 if it can't be read.
    """
    wanted: list[Callable[[Mapping[str, str]], bool]] = []
    rest = text.strip()
    while rest:
        found = _SET.match(rest) or _EQUAL.match(rest) or _EXISTS.match(rest)
        if found is None:
            raise ApiError(400, f"unable to parse requirement: found '{rest}', expected: identifier")
        wanted.append(_requirement(found))
        rest = rest[found.end() :].lstrip()
        if rest and not rest.startswith(","):
            raise ApiError(400, f"found '{rest}', expected: ',' or 'end of string'")
        rest = rest[1:].lstrip()
    if not wanted:
        return lambda obj: True

    def match(obj: Mapping[str, Any]) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(one(labels) for one in wanted)

    return match


def _requirement(found: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    if found.re is _SET:
        key, operator, values = found[1], found[2], {value.strip() for value in found[3].split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found.re is _EQUAL:
        key, operator, value = found.groups()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    absent, key = found.groups()
    return lambda labels: (key in labels) != bool(absent)


def parse_fields(resource: ResourceType, text: str) -> Match:
    """Return whether an object matches a field selector like ``metadata.name=a``.

    Raises
    ------
    ApiError
        400 for a field by which that resource can't be selected.
    """
    wanted: list[tuple[str, bool, str]] = []
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"\s*([\w.]+)\s*(==|=|!=)\s*(.*?)\s*", part)
        if found is None:
            raise ApiError(400, f"invalid selector: '{part}'; can't understand '{part}'")
        path = found[1]
        if path not in ("metadata.name", "metadata.namespace") and path not in _PATHS.get(resource, ()):
            raise ApiError(
                400,
                f'Unable to find "{resource.group_version}, Resource={resource.plural}" that match label selector '
                f'"", field selector "{text}": field label not supported: {path}',
            )
        wanted.append((path, found[2] != "!=", found[3]))
    if not wanted:
        return lambda obj: True
    return lambda obj: all((_value(resource, obj, path) == value) is equal for path, equal, value in wanted)


def _value(resource: ResourceType, obj: Mapping[str, Any], path: str) -> str:
    if resource is JOBS and path == "status.successful":
        return str((obj.get("status") or {}).get("succeeded", 0))
    if resource is EVENTS and path == "source":
        return (obj.get("source") or {}).get("component") or obj.get("reportingComponent") or ""
    value: Any = obj
    for part in path.split("."):
        value = (value or {}).get(part)
    return ("true" if value else "false") if isinstance(value, bool) else str(value or "")
