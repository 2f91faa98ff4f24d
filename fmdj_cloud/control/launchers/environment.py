"""What a worker finds in its environment: storage and worker settings, and nothing of the database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from fmdj_cloud.settings import Section, Settings

_SCRUBBED = ("FMDJ_", "DJ_")
"""Prefixes: all our settings are set anew; FMDJ_CONFIG and FMDJ_SECRETS_DIR may lead to the database."""


def worker_environment(settings: Settings, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker.

    Parameters
    ----------
    settings : Settings
        The controller's: its sections `storage`, `worker` and `log` become ``FMDJ_*`` variables.
    base : mapping of str to str
        The controller's environment; PATH, HOME, AWS_* and the like pass through.
    """
    environment = {name: value for name, value in base.items() if not name.startswith(_SCRUBBED)}
    environment["FMDJ_INSTANCE"] = settings.instance
    for name in ("storage", "worker", "log"):
        environment[f"FMDJ_{name.upper()}"] = json.dumps(_plain(getattr(settings, name)))
    return environment


def _plain(value: Any) -> Any:
    """Return a section as JSON, secrets in clear: it goes into an environment, never to disk."""
    if isinstance(value, Section):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
