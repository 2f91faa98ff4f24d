"""Take secrets out of texts: those that are known by their value, and what looks like one; pure but for the names.

Paths and host names stay: they are what a fault is found by.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, SecretBytes, SecretStr

REMOVED = "[secret removed]"
_SHORTEST = 4
"""A known secret that is shorter stands in too many words by chance; as the value of a name it is removed."""
_NAMES = re.compile(r"pass|pwd|secret|token|credential|api_?key|access_?key|private_?key|authorization", re.IGNORECASE)
_LOOKS = (
    # PEM blocks
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),  # key ids of AWS
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),  # JSON web tokens
    re.compile(r"\b(?:ghp|gho|ghs|github_pat|glpat|xox[abp])[_-][\w-]{16,}"),  # of forges and chats
    re.compile(r"(?<=[Bb]earer )[\w.~+/=-]{8,}"),
    re.compile(r"(?<=[Bb]asic )[A-Za-z0-9+/=]{8,}"),
    re.compile(r"(?<=://)[^/\s:@\"']*:[^/\s@\"']+(?=@)"),  # user:password@ of a URL
    re.compile(
        r"(?<=X-Amz-Signature=)[^&\s\"']+|(?<=X-Amz-Credential=)[^&\s\"']+|(?<=X-Amz-Security-Token=)[^&\s\"']+"
    ),
)
_PAIRS = re.compile(
    r"""(?ix)
    (?P<name>["']?[\w.-]*(?:passw(?:or)?d|passwd|_pass|passphrase|\bpwd|secret(?:_?access)?_?key|secret|token|api_?key|credentials?)["']?)
    (?P<between>\s*[=:]\s*)
    (?P<value>"[^"\n]+"|'[^'\n]+'|[^\s,;&}\]"']+)
    """
)
_HARMLESS = frozenset({"null", "none", "true", "false", '""', "''", '"**********"', "**********", REMOVED})


def known_secrets(
    settings: BaseModel | None, environment: Mapping[str, str], files: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the values of secrets that are known here, the longest first.

    Parameters
    ----------
    settings : BaseModel or None
        Every secret in it, however deep.
    environment : Mapping
        Variables whose names sound like a secret.
    files : iterable of str
        What secret files hold.
    """
    found = set(_of_model(settings)) if settings is not None else set()
    found |= {value for name, value in environment.items() if _NAMES.search(name)}
    found |= {text.strip() for text in files}
    long = {value for value in found if len(value) >= _SHORTEST and value.lower() not in _HARMLESS}
    long |= {way for value in long for way in _ways(value)}
    return tuple(sorted(long, key=lambda value: (-len(value), value)))


def _ways(value: str) -> tuple[str, ...]:
    """Return how a value may be written in a URL, in Python and in JSON."""
    return quote(value, safe=""), repr(value)[1:-1], json.dumps(value)[1:-1]


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Return a text without secrets.

    Parameters
    ----------
    text : str
    secrets : iterable of str
        Values, the longest first.
    """
    for secret in secrets:
        text = text.replace(secret, REMOVED)
    for look in _LOOKS:
        text = look.sub(REMOVED, text)
    return _PAIRS.sub(_without_value, text)


def _without_value(match: re.Match[str]) -> str:
    if match["value"].lower() in _HARMLESS or REMOVED.startswith(match["value"]):
        return match[0]
    return f"{match['name']}{match['between']}{REMOVED}"


def _of_model(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, SecretBytes):
        yield value.get_secret_value().decode("utf-8", "replace")
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _of_model(getattr(value, name))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _of_model(one)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _of_model(one)
