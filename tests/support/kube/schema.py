"""Reading bodies as Go does: wrong types are errors, unknown fields are dropped with a warning."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

from tests.support.kube.clock import is_micro_time, is_time
from tests.support.kube.errors import ApiError
from tests.support.kube.resources import ResourceType

VERSION = "1.36.0"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_PLACES = {
    "": "io.k8s.api.core.v1.",
    "batch": "io.k8s.api.batch.v1.",
    "coordination.k8s.io": "io.k8s.api.coordination.v1.",
    "scheduling.k8s.io": "io.k8s.api.scheduling.v1.",
    "node.k8s.io": "io.k8s.api.node.v1.",
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.",
}


@functools.cache
def definitions() -> dict[str, Any]:
    """Return Kubernetes' own schemas."""
    place = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{VERSION}-local"
    return json.loads((place / "_definitions.json").read_bytes())["$defs"]


class Reader:
    """Reads one body; what it finds is in ``unknown`` and ``missing``."""

    def __init__(self, resource: ResourceType) -> None:
        self._resource = resource
        self.unknown: list[str] = []
        self.missing: list[str] = []

    def read(self, obj: Any) -> dict[str, Any]:
        """Return an object without fields that Kubernetes doesn't know.

        Raises
        ------
        ApiError
            400 if a value has another type than the field.
        """
        if self._resource.custom:
            meta = self._value(obj.get("metadata") or {}, {"$ref": _META + "ObjectMeta"}, "metadata")
            return {**obj, "metadata": meta}
        name = _PLACES[self._resource.group] + self._resource.kind
        return self._value(obj, {"$ref": name}, "")

    def _fail(self, path: str, found: str) -> ApiError:
        kind = self._resource.kind
        return ApiError(
            400,
            f'{kind} in version "{self._resource.version}" cannot be handled as a {kind}: json: cannot unmarshal '
            f"{found} into Go struct field {kind}.{path}",
        )

    def _value(self, value: Any, schema: dict[str, Any], path: str) -> Any:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name.endswith(".JSONSchemaProps") or name.endswith((".FieldsV1", ".RawExtension", ".JSON")):
                return value
            schema = definitions()[name]
        if value is None:
            return None
        if "oneOf" in schema:
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                raise self._fail(path, _go(value))
            return value
        types = schema.get("type", "object")
        kind = types if isinstance(types, str) else types[0]
        if kind == "object":
            return self._object(value, schema, path)
        if kind == "array":
            if not isinstance(value, list):
                raise self._fail(path, _go(value))
            return [self._value(one, schema["items"], f"{path}[{i}]") for i, one in enumerate(value)]
        self._scalar(value, kind, schema.get("format"), path)
        return value

    def _object(self, value: Any, schema: dict[str, Any], path: str) -> Any:
        if not isinstance(value, dict):
            raise self._fail(path, _go(value))
        if "properties" not in schema:
            inner = schema.get("additionalProperties")
            if not isinstance(inner, dict):
                return value
            return {name: self._value(one, inner, f"{path}[{name}]") for name, one in value.items()}
        result = {}
        for name, one in value.items():
            inner = schema["properties"].get(name)
            below = f"{path}.{name}" if path else name
            if inner is None:
                self.unknown.append(below)
                continue
            read = self._value(one, inner, below)
            if read is not None:
                result[name] = read
        for name in schema.get("required", ()):
            if name not in result:
                self.missing.append(f"{path}.{name}" if path else name)
        return result

    def _scalar(self, value: Any, kind: str, form: str | None, path: str) -> None:
        good = {
            "string": isinstance(value, str),
            "boolean": isinstance(value, bool),
            "integer": isinstance(value, int) and not isinstance(value, bool),
            "number": isinstance(value, (int, float)) and not isinstance(value, bool),
        }.get(kind, True)
        if not good:
            raise self._fail(path, _go(value))
        if form == "date-time":
            micro = path.endswith(("eventTime", "acquireTime", "renewTime", "lastObservedTime"))
            if not (is_micro_time(value) if micro else is_time(value)):
                layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"
                raise ApiError(
                    400,
                    f'{self._resource.kind} in version "{self._resource.version}" cannot be handled as a '
                    f'{self._resource.kind}: parsing time "{value}" as "{layout}": cannot parse "{value}"',
                )


def _go(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "number"
