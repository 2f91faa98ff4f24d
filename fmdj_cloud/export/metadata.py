"""What people say of a session in a file of their own, where the database doesn't know it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fmdj_cloud.errors import UsageError

FILE = (
    *("experimenter", "experiment_description", "institution", "keywords", "lab", "pharmacology", "protocol"),
    *("related_publications", "session_description", "session_id", "surgery", "virus"),
)
"""Fields of an NWB file that can be said."""
SUBJECT = ("age", "date_of_birth", "description", "genotype", "sex", "species", "strain", "subject_id", "weight")
"""Fields of its subject that can be said."""
_SECTIONS = {"nwbfile": FILE, "subject": SUBJECT}
_LISTS = ("experimenter", "keywords", "related_publications")
_NAMES = ("session_id", "subject_id")
"""What labs number."""
_MAX_BYTES = 1 << 20


def read_metadata(path: Path) -> dict[str, dict[str, Any]]:
    """Return what a YAML file says, by section (``nwbfile``, ``subject``).

    Raises
    ------
    UsageError
        If it can't be read, or says something that has no place.
    """
    try:
        with path.open("rb") as file:
            said = yaml.safe_load(file.read(_MAX_BYTES))
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: of a date that no calendar has
        raise UsageError(f"{path} can't be read as YAML: {error}.") from error
    if not isinstance(said, Mapping) or not all(isinstance(fields, Mapping) for fields in said.values()):
        raise UsageError(f"{path} must have the sections nwbfile and subject, each with fields.")
    unknown = [
        f"{name}.{field}" for name, fields in said.items() for field in fields if field not in _SECTIONS.get(name, ())
    ]
    unknown += [str(name) for name in said if name not in _SECTIONS]
    if unknown:
        known = "; ".join(f"{name}: {', '.join(fields)}" for name, fields in _SECTIONS.items())
        raise UsageError(f"{path} says {', '.join(unknown)}, which has no place in the file. Known are {known}.")
    return {
        section: {field: _value(path, f"{section}.{field}", field, value) for field, value in fields.items()}
        for section, fields in ((name, said.get(name, {})) for name in _SECTIONS)
    }


def _value(path: Path, name: str, field: str, value: Any) -> Any:
    """Return a value as NWB takes it."""
    if value is None:
        return None
    if field == "date_of_birth":
        if isinstance(value, dt.date):
            return value
        raise UsageError(f"{path}: {name} {value!r} is no date such as 2025-01-31.")
    if field in _LISTS:
        texts = value if isinstance(value, list) else [value]
        if all(isinstance(text, str) for text in texts):
            return texts
        raise UsageError(f"{path}: {name} {value!r} is no list of texts such as [face, mouse].")
    if isinstance(value, str) or (field == "weight" and isinstance(value, float)):
        return value
    if field in _NAMES and isinstance(value, int):
        return str(value)
    example = {"age": "P90D", "weight": "0.02 kg"}.get(field, "...")
    raise UsageError(f"{path}: {name} {value!r} is no text: write it as one, such as {field}: '{example}'.")
