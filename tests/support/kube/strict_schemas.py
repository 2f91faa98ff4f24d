"""Kubernetes' own schemas, strict (unknown fields are errors), read once per test process.

``kubernetes_validate.validate`` reads and resolves them anew for every object.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

SUPPORTED = ("1.31", "1.32", "1.33", "1.34", "1.35", "1.36")
"""Versions of Kubernetes that this project runs on."""


@functools.cache
def _validator(kind: str, api_version: str, version: str) -> Draft202012Validator:
    folder = f"kubernetes-json-schema/v{version}.0-local-strict"
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    schema = schema_contents(f"{folder}/{kind.lower()}-{group}.json", version)
    definitions = schema_contents(f"{folder}/_definitions.json", version)
    registry = Resource.from_contents(definitions) @ (Resource.from_contents(schema) @ Registry())
    return Draft202012Validator(schema, registry=registry)


def schema_problems(body: Mapping[str, Any], version: str) -> list[str]:
    """Return what the schemas of a version of Kubernetes (``"1.36"``) find wrong with an object."""
    validator = _validator(body["kind"], body["apiVersion"], version)
    return [
        f"{version} {'.'.join(str(part) for part in error.path)}: {error.message}"
        for error in validator.iter_errors(body)
    ]
