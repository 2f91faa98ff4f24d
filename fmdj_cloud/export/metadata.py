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
    except (OSError, yaml.YAMLError) as error:
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
    found = {name: dict(said.get(name, {})) for name in _SECTIONS}
    born = found["subject"].get("date_of_birth")
    if born is not None and not isinstance(born, dt.date):
        raise UsageError(f"{path}: date_of_birth {born!r} is no date such as 2025-01-31.")
    return found
