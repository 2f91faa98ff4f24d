"""What is wrong with an object, field by field, in Kubernetes' words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_NAME_PART_MESSAGE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


class Causes(list[tuple[str, str, str]]):
    """A list of field, reason and message that grows while an object is looked at."""

    def required(self, field: str, detail: str = "") -> None:
        """A value is missing."""
        self.append((field, "FieldValueRequired", f"Required value: {detail}" if detail else "Required value"))

    def invalid(self, field: str, value: Any, detail: str) -> None:
        """A value is wrong."""
        self.append((field, "FieldValueInvalid", f"Invalid value: {_shown(value)}: {detail}"))

    def unsupported(self, field: str, value: Any, known: Iterable[str]) -> None:
        """A value is none of those there are."""
        said = ", ".join(f'"{one}"' for one in sorted(known))
        self.append((field, "FieldValueNotSupported", f"Unsupported value: {_shown(value)}: supported values: {said}"))

    def duplicate(self, field: str, value: Any) -> None:
        """A value is there twice."""
        self.append((field, "FieldValueDuplicate", f"Duplicate value: {_shown(value)}"))

    def missing(self, field: str, value: Any) -> None:
        """What a value names isn't there."""
        self.append((field, "FieldValueNotFound", f"Not found: {_shown(value)}"))

    def long(self, field: str, most: int) -> None:
        """A value is too long."""
        self.append((field, "FieldValueTooLong", f"Too long: may not be more than {most} bytes"))

    def forbidden(self, field: str, detail: str) -> None:
        """A field may not be there."""
        self.append((field, "FieldValueForbidden", f"Forbidden: {detail}"))

    # words that occur everywhere

    def one_of(self, field: str, value: Any, known: Iterable[str]) -> None:
        """Check an enumeration, where there is a value."""
        known = list(known)
        if value is not None and value not in known:
            self.unsupported(field, value, known)

    def label(self, field: str, value: str) -> None:
        """Check a name like a container's."""
        if len(value) > 63:
            self.invalid(field, value, "must be no more than 63 bytes")
        if not _LABEL.fullmatch(value):
            self.invalid(field, value, _LABEL_MESSAGE)

    def subdomain(self, field: str, value: str) -> None:
        """Check a name like an object's."""
        if len(value) > 253:
            self.invalid(field, value, "must be no more than 253 bytes")
        if not _SUBDOMAIN.fullmatch(value):
            self.invalid(field, value, _SUBDOMAIN_MESSAGE)

    def qualified(self, field: str, value: str) -> None:
        """Check a key of labels."""
        prefix, slash, name = value.rpartition("/")
        if slash and not prefix:
            self.invalid(field, value, "prefix part must be non-empty")
        elif slash and not (_SUBDOMAIN.fullmatch(prefix) and len(prefix) <= 253):
            self.invalid(field, value, f"prefix part {_SUBDOMAIN_MESSAGE}")
        if not name:
            self.invalid(field, value, "name part must be non-empty")
        elif len(name) > 63:
            self.invalid(field, value, "name part must be no more than 63 bytes")
        if not _QUALIFIED.fullmatch(name):
            self.invalid(field, value, _NAME_PART_MESSAGE)

    def label_value(self, field: str, value: str) -> None:
        """Check a value of labels."""
        if len(value) > 63:
            self.invalid(field, value, "must be no more than 63 bytes")
        if value and not _QUALIFIED.fullmatch(value):
            self.invalid(field, value, _VALUE_MESSAGE)

    def labels(self, field: str, labels: dict[str, str] | None) -> None:
        """Check labels."""
        for key, value in (labels or {}).items():
            self.qualified(field, key)
            self.label_value(field, value)

    def annotations(self, field: str, annotations: dict[str, str] | None) -> None:
        """Check annotations, which may be 256 KiB together."""
        size = 0
        for key, value in (annotations or {}).items():
            self.qualified(field, key.lower())
            size += len(key.encode()) + len(value.encode())
        if size > 256 * 1024:
            self.long(field, 256 * 1024)

    def at_least(self, field: str, value: int | None, least: int = 0) -> None:
        """Check a number, where there is one."""
        if value is not None and value < least:
            self.invalid(field, value, f"must be greater than or equal to {least}")


def _shown(value: Any) -> str:
    return json.dumps(value)
