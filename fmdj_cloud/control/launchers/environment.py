"""What a worker finds in its environment: storage and worker settings, and nothing of the database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from fmdj_cloud.settings import Section, Settings

_SCRUBBED = ("FMDJ_", "DJ_")
"""Prefixes: all our settings are set anew; FMDJ_CONFIG and FMDJ_SECRETS_DIR may lead to the database."""
_CLIENTS = frozenset({"PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE", "MYSQL_PWD"})
"""Where clients of the databases look for a password themselves."""
_SECTIONS = ("storage", "worker", "log")


def worker_environment(settings: Settings, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker.

    Parameters
    ----------
    settings : Settings
        The controller's: its sections `storage`, `worker` and `log` become ``FMDJ_*`` variables.
    base : mapping of str to str
        The controller's environment; PATH, HOME, AWS_* and the like pass through.
    """
    kept = {name: value for name, value in base.items() if not name.startswith(_SCRUBBED) and name not in _CLIENTS}
    return {**kept, **settings_variables(settings, secrets=True)}


def settings_variables(settings: Settings, *, secrets: bool) -> dict[str, str]:
    """Return what a worker is told of the settings: ``FMDJ_INSTANCE``, and JSON for each section that it reads.

    Parameters
    ----------
    settings : Settings
    secrets : bool
        Whether they hold the credentials in clear; without, they are null, and other variables may give them.
    """
    sections = {
        f"FMDJ_{name.upper()}": json.dumps(_plain(getattr(settings, name), secrets=secrets)) for name in _SECTIONS
    }
    return {"FMDJ_INSTANCE": settings.instance, **sections}


def _plain(value: Any, *, secrets: bool) -> Any:
    """Return a section as JSON; with secrets in clear it goes into an environment, never to disk."""
    if isinstance(value, Section):
        return {name: _plain(getattr(value, name), secrets=secrets) for name in type(value).model_fields}
    if isinstance(value, tuple):
        return [_plain(item, secrets=secrets) for item in value]
    if isinstance(value, SecretStr):
        return value.get_secret_value() if secrets else None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
