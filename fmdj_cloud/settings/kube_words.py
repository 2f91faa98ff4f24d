"""Names as Kubernetes takes them: what the API server would refuse later is refused in the settings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_QUALIFIED = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_SUBDOMAIN = rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*"
NAME = re.compile(_SUBDOMAIN)
"""Name of an object (DNS subdomain)."""
LABEL_KEY = re.compile(rf"(?:(?=[^/]{{1,253}}/){_LABEL}(?:\.{_LABEL})*/)?{_QUALIFIED}")
"""Name of a label or an annotation."""
LABEL_VALUE = re.compile(rf"(?:{_QUALIFIED})?")
QUEUE = re.compile(rf"(?:(?=.{{1,63}}\Z){_SUBDOMAIN})?")
"""Name of a LocalQueue: an object's name that fits the value of a label; empty is none."""
RESOURCE = re.compile(
    # quotas put "requests." before the name, which leaves 244 characters; kubernetes.io is Kubernetes' own
    rf"(?!requests\.)(?![^/]*kubernetes\.io/)(?=[^/]{{1,244}}/){_LABEL}(?:\.{_LABEL})*/{_QUALIFIED}"
)
"""Name of an extended resource, such as ``nvidia.com/gpu``."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRET_KEY = re.compile(r"(?!\.\.)(?!\.\Z)[-._A-Za-z0-9]{1,253}")
IMAGE = re.compile(
    r"(?:(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,})?",
)
"""Reference of an image: ``[host[:port]/]path[:tag][@digest]``."""
NFS_SERVER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|\[?[0-9a-fA-F:]{2,45}\]?")
MANY = 100
"""Entries of a list: more would be a mistake, and an object has a largest size."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def check(pattern: re.Pattern[str], what: str, values: Iterable[str]) -> None:
    """Refuse values that aren't what they should be.

    Parameters
    ----------
    pattern : re.Pattern
    what : str
        What it describes, for the sentence: ``"a label's value"``.
    values : iterable of str

    Raises
    ------
    ValueError
    """
    for value in values:
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} is not {what}")


def check_folder(path: str) -> str:
    """Return `path` if it is an absolute path in normal form: no empty, ``.`` or ``..`` part, none at the end.

    Raises
    ------
    ValueError
    """
    if str(PurePosixPath(path)) != path or not re.match("/(?!/)", path) or ".." in path.split("/"):
        raise ValueError(f"{path!r} is not an absolute path without `.`, `..`, `//` or a slash at its end")
    if _UNPRINTABLE.search(path):
        raise ValueError(f"{path!r} holds control characters")
    return path


def check_below(path: str) -> str:
    """Return `path` if it leads to something below the folder it is joined to; empty is the folder itself.

    Raises
    ------
    ValueError
    """
    if path.startswith("/"):
        raise ValueError(f"{path!r} is not a path relative to the volume")
    if path:
        check_folder(f"/{path}")
    return path
