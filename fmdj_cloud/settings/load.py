"""Read the settings from their sources; refuse what is none."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings.tree import Settings

_BESIDE = ("FMDJ_CONFIG", "FMDJ_SECRETS_DIR")
"""Variables that say where settings are; ``FMDJ_TEST_*`` is the tests' own."""


def refuse_unknown_names(names: Iterable[str]) -> None:
    """Refuse names of variables or secret files that start with ``FMDJ_`` and are no setting.

    Parameters
    ----------
    names : iterable of str
        Names in any case; what doesn't start with ``FMDJ_`` is somebody else's.

    Raises
    ------
    ConfigError
        The sentence names each, with the setting that is most like it.
    """
    known = _variables(Settings, "FMDJ_")
    problems = []
    for name in sorted(names):
        upper = name.upper()
        if not upper.startswith("FMDJ_") or upper in (*known, *_BESIDE) or upper.startswith("FMDJ_TEST_"):
            continue
        like = difflib.get_close_matches(upper, [*known, *_BESIDE], n=1)
        problems.append(f"{name} is not a setting" + (f" (did you mean {like[0]}?)" if like else ""))
    if problems:
        raise ConfigError(f"{'; '.join(problems)}: correct or unset it.")


def _variables(section: type[BaseModel], prefix: str) -> list[str]:
    names = []
    for name, field in section.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        names.append(variable)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names += _variables(field.annotation, f"{variable}__")
    return names


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from their sources.

    Parameters
    ----------
    **overrides : Any
        Sections or values that win over every source.

    Raises
    ------
    ConfigError
        If a setting is unknown or has a wrong value; the sentence names each.
    """
    config = os.environ.get("FMDJ_CONFIG")
    if config and not Path(config).is_file():
        raise ConfigError(f"FMDJ_CONFIG={config} is not a file: point it at the YAML file with the settings.")
    secrets = os.environ.get("FMDJ_SECRETS_DIR")
    if secrets and not Path(secrets).is_dir():
        raise ConfigError(f"FMDJ_SECRETS_DIR={secrets} is not a folder: point it at the folder with the secrets.")
    refuse_unknown_names([*os.environ, *(os.listdir(secrets) if secrets else ())])
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"The settings are wrong: {problems}.") from error
    except Exception as error:  # a YAML or environment source that can't be parsed raises its own types
        where = f" of FMDJ_CONFIG={config}" if config else ""
        raise ConfigError(
            f"The settings{where} can't be read ({' '.join(str(error).split())}): correct the file or the variables."
        ) from error
