"""The three kinds of patch that clients send."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch

from tests.support.kube.errors import ApiError

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "imagePullSecrets": "name",
    "conditions": "type",
    "ownerReferences": "uid",
    "ports": "containerPort",
    "hostAliases": "ip",
    "taints": "key",
    "secrets": "name",
}
_MERGED_VALUES = ("finalizers",)


def apply(kind: str, obj: dict[str, Any], patch: Any, *, custom: bool) -> dict[str, Any]:
    """Return an object as a patch makes it.

    Raises
    ------
    ApiError
        415 for a kind of patch that isn't served, 400 or 422 for one that can't be applied.
    """
    if kind == JSON:
        return _json(obj, patch)
    if not isinstance(patch, dict):
        raise ApiError(
            400, "error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}"
        )
    if kind == MERGE:
        return _merge(obj, patch)
    if kind == STRATEGIC and not custom:
        return _strategic(obj, patch)
    known = [JSON, MERGE, *([] if custom else [STRATEGIC]), APPLY]
    raise ApiError(
        415,
        "the body of the request was in an unknown format - accepted media types include: " + ", ".join(known),
    )


def _json(obj: dict[str, Any], patch: Any) -> dict[str, Any]:
    try:
        return jsonpatch.JsonPatch(patch).apply(obj)
    except jsonpatch.JsonPatchTestFailed as error:
        raise ApiError(422, f"the server rejected our request due to an error in our request: {error}") from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError) as error:
        raise ApiError(422, "the server rejected our request due to an error in our request") from error


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge(result.get(name), value)
    return result


def _strategic(target: Any, patch: dict[str, Any]) -> dict[str, Any]:
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            result[field] = [one for one in result.get(field) or () if one not in value]
        elif name.startswith("$"):
            continue
        elif value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = _strategic(result.get(name), value)
        elif isinstance(value, list) and name in _KEYS and all(isinstance(one, dict) for one in value):
            result[name] = _merge_list(result.get(name) or [], value, _KEYS[name])
        elif isinstance(value, list) and name in _MERGED_VALUES:
            old = result.get(name) or []
            result[name] = [*old, *(one for one in value if one not in old)]
        else:
            result[name] = copy.deepcopy(value)
    return result


def _merge_list(old: list[Any], patch: list[Any], key: str) -> list[Any]:
    result = list(old)
    for one in patch:
        if one.get("$patch") == "replace":
            return [other for other in patch if "$patch" not in other]
        place = next((i for i, other in enumerate(result) if other.get(key) == one.get(key)), None)
        if one.get("$patch") == "delete":
            if place is not None:
                del result[place]
        elif place is None:
            result.append(copy.deepcopy(one))
        else:
            result[place] = _strategic(result[place], one)
    return result
