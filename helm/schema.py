"""Write what the chart knows of the settings: ``python helm/schema.py`` (``--check`` only compares).

``values.schema.json`` is ``values.schema.yaml`` with the schema of all settings put in, and ``values.yaml`` lists every
setting with its default in the comment between two marks.
"""

from __future__ import annotations

import json
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from fmdj_cloud.settings import Settings, kube_affinity, kube_words

HERE = Path(__file__).parent
SOURCE = HERE / "values.schema.yaml"
SCHEMA = HERE / "fmdj-cloud" / "values.schema.json"
VALUES = HERE / "fmdj-cloud" / "values.yaml"
BEGIN, END = "  # every setting: begin", "  # every setting: end"
_WIDTH = 116
_URI = r"^(s3://[^/]+(/.*)?|file:///.+)$"
_REFERENCE = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9._-]+$"
_REACH = ("database.", "storage.s3.")
_LOOKAROUND = re.compile(r"\(\?[=!](?:[^()]|\([^()]*\))*\)")


def _weaker(pattern: re.Pattern[str]) -> str:
    """Return a pattern for Helm, whose language knows no look-ahead: it takes a little more than the settings do."""
    text = pattern.pattern
    while (shorter := _LOOKAROUND.sub("", text)) != text:
        text = shorter
    return f"^(?:{text})$"


_NAME = _weaker(kube_words.NAME)
_LABELS = {"propertyNames": {"pattern": _weaker(kube_words.LABEL_KEY)}}
_PROFILE = ("kubernetes", "profiles", "*")
_STRICTER: dict[tuple[str, ...], dict[str, Any]] = {
    ("pipelines", "*", "video_roots", "*"): {"pattern": _URI},
    ("pipelines", "*", "video_roots"): {"minItems": 1},
    ("pipelines", "*", "path_map", "*"): {"pattern": _URI},
    ("pipelines", "*", "processed_root"): {"pattern": _URI},
    ("controller", "launcher"): {"enum": ["kubernetes"]},
    ("serve", "port"): {"minimum": 1024},
    ("page", "port"): {"minimum": 1024},
    (*_PROFILE, "image"): {"pattern": f"^$|{_weaker(kube_words.IMAGE)}"},
    (*_PROFILE, "image_pull_secrets", "*"): {"pattern": _NAME},
    (*_PROFILE, "gpu_resource"): {"pattern": _weaker(kube_words.RESOURCE)},
    (*_PROFILE, "kueue_queue"): {"pattern": f"^$|{_NAME}"},
    (*_PROFILE, "scratch_class"): {"pattern": _NAME},
    (*_PROFILE, "priority_class"): {"pattern": _NAME},
    (*_PROFILE, "runtime_class"): {"pattern": _NAME},
    (*_PROFILE, "service_account"): {"pattern": _NAME},
    (*_PROFILE, "labels"): _LABELS,
    (*_PROFILE, "labels", "*"): {"pattern": _weaker(kube_words.LABEL_VALUE)},
    (*_PROFILE, "annotations"): _LABELS,
    (*_PROFILE, "secret_env"): {"propertyNames": {"pattern": _weaker(kube_words.VARIABLE)}},
    (*_PROFILE, "secret_env", "*"): {"pattern": _REFERENCE},
}
"""What the settings check by code of their own, or the chart decides: by path, ``*`` for any name or entry."""


def settings_schema() -> dict[str, Any]:
    """Return the schema of all settings but secrets, which come from Secrets."""
    raw = Settings.model_json_schema()
    schema = _plain(raw, raw["$defs"])
    for path, more in ((*_PROFILE, "affinity"), affinity_schema()), *_STRICTER.items():
        found = list(_at(schema, path))
        if not found:
            raise SystemExit(f"helm/schema.py: there is no setting {'.'.join(path)}.")
        for one in found:
            one |= more
    return schema


def affinity_schema() -> dict[str, Any]:
    """Return the schema of an affinity, as it stands in a PodSpec."""
    raw = kube_affinity._Affinity.model_json_schema(by_alias=True)
    return {key: value for key, value in _plain(raw, raw["$defs"]).items() if key != "description"}


def _plain(node: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema without references, titles, defaults and secrets; what may be null stays so."""
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    if "anyOf" in node:
        kind = _either([_plain(one, definitions) for one in node["anyOf"] if one.get("type") != "null"])
        return kind | ({"description": node["description"]} if "description" in node else {})
    result: dict[str, Any] = {}
    for key in ("description", "type", "enum", "const", "pattern", "required", "items", "properties"):
        if key not in node:
            continue
        value = node[key]
        if key == "const":
            key, value = "enum", [value]
        elif key == "items":
            value = _plain(value, definitions)
        elif key == "properties":
            value = {name: _plain(one, definitions) for name, one in value.items() if not _is_secret(one)}
        result[key] = value
    limits = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems", "maxProperties")
    result |= {key: node[key] for key in limits if key in node}
    if "patternProperties" in node:
        result["patternProperties"] = {
            pattern: _plain(one, definitions) for pattern, one in node["patternProperties"].items()
        }
        result["additionalProperties"] = False
    elif isinstance(node.get("additionalProperties"), dict):
        result["additionalProperties"] = _plain(node["additionalProperties"], definitions)
        if "propertyNames" in node:
            result["propertyNames"] = node["propertyNames"]
    elif result.get("type") == "object":
        result["additionalProperties"] = False
    return result


def _either(kinds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of what is of one of some kinds, or null; of several, words are a pattern beside numbers."""
    if len(kinds) == 1:
        (kind,) = kinds
        return kind | {"type": [kind["type"], "null"]} | ({"enum": [*kind["enum"], None]} if "enum" in kind else {})
    either: dict[str, Any] = {"type": [*(kind["type"] for kind in kinds), "null"]}
    for kind in kinds:
        words = {"pattern": f"^({'|'.join(kind['enum'])})$"} if "enum" in kind else {}
        either |= {key: value for key, value in kind.items() if key not in ("type", "enum")} | words
    return either


def _is_secret(node: Mapping[str, Any]) -> bool:
    return any(one.get("writeOnly") for one in (node, *node.get("anyOf", ())))


def _at(node: dict[str, Any], path: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    if not path:
        yield node
        return
    first, *rest = path
    if first != "*":
        below = [node["properties"][first]] if first in node.get("properties", ()) else []
    else:
        maps = [*node.get("patternProperties", {}).values(), node.get("items"), node.get("additionalProperties")]
        below = [one for one in maps if isinstance(one, dict)]
    for one in below:
        yield from _at(one, tuple(rest))


def from_secrets() -> list[str]:
    """Return the settings that may come from a Secret: how database and object store are reached."""
    leaves = _leaves(Settings, "")
    return [path for path, annotation in leaves if path.startswith(_REACH) and _is_word(annotation)]


def secret_settings() -> list[str]:
    """Return the settings that only a Secret may hold."""
    return [path for path, annotation in _leaves(Settings, "") if SecretStr in _kinds(annotation)]


def _leaves(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _leaves(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.annotation


def _kinds(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return [kind for one in typing.get_args(annotation) for kind in _kinds(one)]
    if typing.get_origin(annotation) is typing.Annotated:
        return _kinds(typing.get_args(annotation)[0])
    return [annotation]


def _is_word(annotation: Any) -> bool:
    kinds = [kind for kind in _kinds(annotation) if kind is not types.NoneType]
    return all(
        typing.get_origin(kind) is typing.Literal or kind in (str, int, float, bool, SecretStr, Path) for kind in kinds
    )


def values_schema() -> str:
    """Return values.schema.json."""
    schema = yaml.safe_load(SOURCE.read_text("utf-8"))
    parts = {"settings": settings_schema(), "fromSecrets": _secrets_schema(), "affinity": affinity_schema()}
    return json.dumps(_filled(schema, parts), indent=1, ensure_ascii=False) + "\n"


def _secrets_schema() -> dict[str, Any]:
    entry = {"type": "string", "pattern": _REFERENCE}
    return {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(from_secrets(), entry)}


def _filled(node: Any, parts: Mapping[str, Any]) -> Any:
    """Put the parts where the source says ``insert: <part>``; close every object whose fields are known."""
    if isinstance(node, list):
        return [_filled(one, parts) for one in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("insert"), str):
        return {**parts[node["insert"]], **{key: value for key, value in node.items() if key != "insert"}}
    result = {key: _filled(value, parts) for key, value in node.items()}
    if isinstance(result.get("properties"), dict) and result.get("type") == "object":
        result.setdefault("additionalProperties", False)
    return result


def settings_comment() -> str:
    """Return the lines of values.yaml that list every setting."""
    return "\n".join([BEGIN, *(f"  # {line}".rstrip() for line in _lines(Settings, "")), END]) + "\n"


def _lines(model: type[BaseModel], indent: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        nested = _model(field.annotation)
        if nested is not None:
            what, section = nested
            yield from _wrapped(f"{indent}# {field.description}")
            yield f"{indent}{name}:"
            below = {"one": indent, "list": f"{indent}  ", "map": f"{indent}  "}[what]
            if what == "list":
                first, *rest = _lines(section, f"{below}  ")
                start = next(i for i, line in enumerate([first, *rest]) if not line.lstrip().startswith("#"))
                lines = [first, *rest]
                lines[start] = f"{below}- {lines[start].lstrip()}"
                yield from lines
            elif what == "map":
                yield f"{below}NAME:"
                yield from _lines(section, f"{below}  ")
            else:
                yield from _lines(section, f"{indent}  ")
        elif SecretStr in _kinds(field.annotation):
            yield from _wrapped(f"{indent}# ({name}: {field.description} Only from a Secret, by settingsFromSecrets.)")
        else:
            yield from _wrapped(f"{indent}# {field.description}")
            yield f"{indent}{name}: {_shown(field.get_default(call_default_factory=True))}".rstrip()


def _wrapped(line: str) -> Iterator[str]:
    text = line.lstrip()
    indent = line[: len(line) - len(text)]
    rest = text
    while len(indent) + len(rest) > _WIDTH:
        cut = rest.rfind(" ", 2, _WIDTH - len(indent))
        yield f"{indent}{rest[:cut]}"
        rest = f"# {rest[cut + 1 :]}"
    yield f"{indent}{rest}"


def _model(annotation: Any) -> tuple[str, type[BaseModel]] | None:
    origin = typing.get_origin(annotation)
    for kind in typing.get_args(annotation) if origin in (tuple, dict) else _kinds(annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return {tuple: "list", dict: "map"}.get(origin, "one"), kind
    return None


def _shown(default: Any) -> str:
    if default is PydanticUndefined or default is None:
        return ""
    plain = [*default] if isinstance(default, tuple) else default
    plain = str(plain) if isinstance(plain, Path | str) else plain
    return json.dumps(plain, ensure_ascii=False)


def values() -> str:
    """Return values.yaml with its list of settings as it should be."""
    text = VALUES.read_text("utf-8")
    before, _, rest = text.partition(f"{BEGIN}\n")
    _, found, after = rest.partition(f"{END}\n")
    if not found:
        raise SystemExit(f"helm/schema.py: {VALUES} lacks the lines {BEGIN!r} and {END!r}.")
    return before + settings_comment() + after


def main() -> int:
    """Write both files, or compare them with what is there."""
    stale = []
    for path, text in ((SCHEMA, values_schema()), (VALUES, values())):
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != text:
            stale.append(str(path.relative_to(HERE.parent)))
    if stale:
        sys.stderr.write(f"{', '.join(stale)} differ from the settings: run `python helm/schema.py`.\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
