"""Schemas of custom resources: pruning, defaults, values, CEL rules; and what a structural schema must be."""

from __future__ import annotations

import copy
import re
from typing import Any

from tests.support.kube import cel
from tests.support.kube.causes import Causes
from tests.support.kube.clock import is_time

_TYPES = {
    "string": str,
    "object": dict,
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
_ANY = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_META = ("apiVersion", "kind", "metadata")


class CustomSchema:
    """The schema of one version of a custom resource."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema

    def prune(self, obj: dict[str, Any], dropped: list[str]) -> dict[str, Any]:
        """Return an object without fields that the schema doesn't know (they are ``dropped``), with its defaults."""
        kept = {name: obj[name] for name in _META if name in obj}
        rest = {name: value for name, value in obj.items() if name not in _META}
        return kept | _prune(rest, self.schema, dropped, "")

    def check(self, causes: Causes, obj: dict[str, Any], old: dict[str, Any] | None = None) -> None:
        """Find what is wrong with an object."""
        rest = {name: value for name, value in obj.items() if name not in _META}
        before = len(causes)
        _check(causes, rest, self.schema, "")
        if len(causes) == before:
            whole = None if old is None else old
            _rules(causes, obj, whole, self.schema, "")

    def check_structure(self, causes: Causes, path: str) -> None:
        """Find what keeps a schema from being structural, and rules that can't be read."""
        if self.schema.get("type") != "object":
            causes.invalid(f"{path}.type", self.schema.get("type"), "must be object at the root")
        _structure(causes, self.schema, path)


def _prune(value: Any, schema: dict[str, Any], dropped: list[str], path: str) -> Any:
    if isinstance(value, dict):
        if schema.get("x-kubernetes-embedded-resource"):
            return value
        properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
        result = {}
        for name, one in value.items():
            below = f"{path}.{name}" if path else name
            if name in properties:
                if one is None and not properties[name].get("nullable"):
                    continue
                result[name] = _prune(one, properties[name], dropped, below)
            elif isinstance(others, dict):
                result[name] = _prune(one, others, dropped, below)
            elif others or schema.get(_ANY):
                result[name] = one
            else:
                dropped.append(below)
        for name, inner in properties.items():
            if name not in result and "default" in inner:
                result[name] = copy.deepcopy(inner["default"])
                result[name] = _prune(result[name], inner, dropped, name)
        return result
    if isinstance(value, list):
        inner = schema.get("items") or {_ANY: True}
        return [_prune(one, inner, dropped, f"{path}[{i}]") for i, one in enumerate(value)]
    return value


def _check(causes: Causes, value: Any, schema: dict[str, Any], path: str) -> None:
    where = path or "<nil>"
    if value is None:
        if not schema.get("nullable") and schema.get("type"):
            causes.invalid(where, "null", f'{path} in body must be of type {schema["type"]}: "null"')
        return
    kind = schema.get("type")
    if schema.get(_INT_OR_STRING):
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            causes.invalid(where, value, f"{path} in body must be of type integer,string")
        return
    if kind and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        found = next((name for name, one in _TYPES.items() if isinstance(value, one)), "null")
        causes.append(
            (
                where,
                "FieldValueTypeInvalid",
                f'Invalid value: "{found}": {path} in body must be of type {kind}: "{found}"',
            )
        )
        return
    if schema.get("enum") is not None and value not in schema["enum"]:
        causes.unsupported(where, value, [str(one) for one in schema["enum"]])
    if isinstance(value, dict):
        _check_object(causes, value, schema, path)
    elif isinstance(value, list):
        _check_list(causes, value, schema, path)
    elif isinstance(value, str):
        _check_string(causes, value, schema, path)
    elif not isinstance(value, bool):
        _check_number(causes, value, schema, path)
    for one in schema.get("allOf") or ():
        _check(causes, value, {**one, "type": None}, path)
    for word in ("anyOf", "oneOf"):
        if schema.get(word):
            good = 0
            for one in schema[word]:
                trial = Causes()
                _check(trial, value, one, path)
                good += not trial
            if not good or (word == "oneOf" and good > 1):
                count = "one and only one" if word == "oneOf" else "at least one"
                causes.invalid(where, "", f"{path} in body must validate {count} schema ({word})")
    if schema.get("not"):
        trial = Causes()
        _check(trial, value, schema["not"], path)
        if not trial:
            causes.invalid(where, "", f"{path} in body must not validate the schema (not)")


def _check_object(causes: Causes, value: dict[str, Any], schema: dict[str, Any], path: str) -> None:
    below = f"{path}." if path else ""
    for name in schema.get("required") or ():
        if name not in value:
            causes.required(f"{below}{name}")
    for name, one in value.items():
        inner = (schema.get("properties") or {}).get(name)
        if inner is None and isinstance(schema.get("additionalProperties"), dict):
            inner = schema["additionalProperties"]
        if inner is not None:
            _check(causes, one, inner, f"{below}{name}")
    for word, bad in (("maxProperties", len(value) > schema.get("maxProperties", len(value))),):
        if bad:
            causes.append(
                (path, "FieldValueTooMany", f"Too many: {len(value)}: must have at most {schema[word]} items")
            )
    if len(value) < schema.get("minProperties", 0):
        causes.invalid(path, len(value), f"{path} in body should have at least {schema['minProperties']} properties")


def _check_list(causes: Causes, value: list[Any], schema: dict[str, Any], path: str) -> None:
    for i, one in enumerate(value):
        _check(causes, one, schema.get("items") or {}, f"{path}[{i}]")
    if len(value) > schema.get("maxItems", len(value)):
        causes.append(
            (path, "FieldValueTooMany", f"Too many: {len(value)}: must have at most {schema['maxItems']} items")
        )
    if len(value) < schema.get("minItems", 0):
        causes.invalid(path, len(value), f"{path} in body should have at least {schema['minItems']} items")
    kind = schema.get("x-kubernetes-list-type")
    if kind in ("set", "map"):
        keys = schema.get("x-kubernetes-list-map-keys") or ()
        seen: list[Any] = []
        for i, one in enumerate(value):
            mark = one if kind == "set" else [one.get(key) for key in keys]
            if mark in seen:
                causes.duplicate(f"{path}[{i}]", one if kind == "set" else dict(zip(keys, mark, strict=True)))
            seen.append(mark)


def _check_string(causes: Causes, value: str, schema: dict[str, Any], path: str) -> None:
    if len(value) > schema.get("maxLength", len(value)):
        causes.append((path, "FieldValueTooLong", f"Too long: may not be more than {schema['maxLength']} bytes"))
    if len(value) < schema.get("minLength", 0):
        causes.invalid(path, value, f"{path} in body should be at least {schema['minLength']} chars long")
    if schema.get("pattern") and not re.search(schema["pattern"], value):
        causes.invalid(path, value, f"{path} in body should match '{schema['pattern']}'")
    if schema.get("format") == "date-time" and not is_time(value):
        causes.invalid(path, value, f"{path} in body must be of type date-time: {value!r}")


def _check_number(causes: Causes, value: float, schema: dict[str, Any], path: str) -> None:
    if "maximum" in schema and value > schema["maximum"]:
        causes.invalid(path, value, f"{path} in body should be less than or equal to {schema['maximum']}")
    if "minimum" in schema and value < schema["minimum"]:
        causes.invalid(path, value, f"{path} in body should be greater than or equal to {schema['minimum']}")
    if schema.get("multipleOf") and value % schema["multipleOf"]:
        causes.invalid(path, value, f"{path} in body should be a multiple of {schema['multipleOf']}")


def _rules(causes: Causes, value: Any, old: Any, schema: dict[str, Any], path: str) -> None:
    for rule in schema.get("x-kubernetes-validations") or ():
        program = cel.compile_rule(rule["rule"])
        if program.uses("oldSelf") and old is None and not rule.get("optionalOldSelf"):
            continue
        said = rule.get("message") or f"failed rule: {rule['rule']}"
        where = path + rule.get("fieldPath", "") or "<nil>"
        try:
            good = program.run({"self": value, "oldSelf": old})
            if rule.get("messageExpression") and not good:
                said = cel.compile_rule(rule["messageExpression"]).run({"self": value, "oldSelf": old})
        except cel.CelError as error:
            good, said = False, f"rule evaluation error: {error}"
        if good is not True:
            shown = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else value
            causes.invalid(where.lstrip("."), shown, said)
    if isinstance(value, dict):
        for name, one in value.items():
            inner = (schema.get("properties") or {}).get(name)
            if inner is None and isinstance(schema.get("additionalProperties"), dict):
                inner = schema["additionalProperties"]
            if inner is not None:
                before = old.get(name) if isinstance(old, dict) else None
                _rules(causes, one, before, inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for i, one in enumerate(value):
            _rules(causes, one, None, schema.get("items") or {}, f"{path}[{i}]")


def _structure(causes: Causes, schema: dict[str, Any], path: str, *, logic: bool = False) -> None:
    if not logic and not schema.get("type") and not schema.get(_ANY) and not schema.get(_INT_OR_STRING):
        causes.required(f"{path}.type", "must not be empty for specified object fields")
    if schema.get("properties") and schema.get("additionalProperties"):
        causes.forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    if schema.get("type") == "array" and not logic and "items" not in schema:
        causes.required(f"{path}.items", "must be specified")
    if schema.get("uniqueItems"):
        causes.forbidden(
            f"{path}.uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        )
    if "$ref" in schema:
        causes.forbidden(f"{path}.$ref", "$ref is not supported")
    for i, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        where = f"{path}.x-kubernetes-validations[{i}]"
        for word in ("rule", "messageExpression"):
            if word in rule:
                try:
                    cel.compile_rule(rule[word])
                except cel.CelError as error:
                    causes.invalid(f"{where}.{word}", rule[word], f"compilation failed: {error}")
        if "\n" in rule.get("message", "") or (not rule.get("message") and "\n" in rule.get("rule", "")):
            causes.required(f"{where}.message", "message must be specified if rule contains line breaks")
    for name, inner in (schema.get("properties") or {}).items():
        _structure(causes, inner, f"{path}.properties[{name}]", logic=logic)
        if "default" in inner:
            trial = Causes()
            _check(trial, inner["default"], inner, f"{path}.properties[{name}].default")
            causes.extend(trial)
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            _structure(causes, schema[word], f"{path}.{word}", logic=logic)
    for word in ("allOf", "anyOf", "oneOf"):
        for i, inner in enumerate(schema.get(word) or ()):
            _structure(causes, inner, f"{path}.{word}[{i}]", logic=True)
