"""URIs of objects: ``s3://bucket/key``, where the key stands raw, as the store lists it, or ``file:///path``.

Nothing is quoted: ``s3://lab/mouse 1/a+b#2 100%.avi`` is the object ``mouse 1/a+b#2 100%.avi``. A folder
is a URI without a trailing slash.
"""

from __future__ import annotations

import re

from fmdj_cloud.errors import ConfigError, InputError

KEY_MAX_BYTES = 1024
"""Longest key that S3 takes, in UTF-8."""
_URI = re.compile(r"([a-z][a-z0-9+.-]*)://([^/]*)(?:/(.*))?", re.DOTALL)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def scheme(uri: str) -> str:
    """Return a URI's scheme, such as ``s3``.

    Raises
    ------
    ConfigError
        If `uri` isn't a URI.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise ConfigError(f"{uri!r} is not a URI: write it like s3://bucket/prefix.")
    return match[1]


def split(uri: str) -> tuple[str, str]:
    """Return bucket and key of an ``s3://`` URI; the key of a bare bucket is empty.

    Raises
    ------
    ConfigError
        If `uri` isn't an ``s3://`` URI.
    """
    match = _URI.fullmatch(uri)
    if match is None or match[1] != "s3" or not match[2]:
        raise ConfigError(f"{uri!r} is not a URI like s3://bucket/prefix: correct it.")
    return match[2], match[3] or ""


def local_path(uri: str) -> str:
    """Return the absolute path of a ``file://`` URI, without a trailing slash.

    Raises
    ------
    ConfigError
        If `uri` isn't a ``file://`` URI with an absolute path below ``/``.
    InputError
        If the path has ``.`` or ``..`` segments, empty ones, or control characters.
    """
    match = _URI.fullmatch(uri)
    rest = (match[3] or "").rstrip("/") if match and match[1] == "file" and not match[2] else ""
    if not rest:
        raise ConfigError(f"{uri!r} is not a URI like file:///data/videos: correct it.")
    check_relative(rest)
    return f"/{rest}"


def join(base: str, *parts: str) -> str:
    """Return the URI of something under a folder.

    Parameters
    ----------
    base : str
        A folder's URI, with or without a trailing slash.
    *parts : str
        Relative paths (``/`` between their segments).

    Raises
    ------
    InputError
        If a part is empty or absolute, has an empty, ``.`` or ``..`` segment or characters that keys can't
        hold, or if the key gets too long.
    """
    for part in parts:
        check_relative(part)
    uri = "/".join((base.rstrip("/"), *parts))
    key = uri.split("://", 1)[-1].partition("/")[2]
    if len(key.encode()) > KEY_MAX_BYTES:
        raise InputError(f"{uri!r} is longer than the {KEY_MAX_BYTES} bytes that a key may have.", check="path")
    return uri


def check_relative(path: str) -> None:
    """Refuse a path that doesn't stay below the folder it is joined to.

    Raises
    ------
    InputError
        As :func:`join`.
    """
    if _UNPRINTABLE.search(path):
        raise InputError(f"Path {path!r} holds control characters: rename the file.", check="path")
    if any(segment in ("", ".", "..") for segment in path.split("/")):
        raise InputError(f"Path {path!r} must be relative, without empty, '.' or '..' parts: correct it.", check="path")


def parent(uri: str) -> str:
    """Return the URI of the folder that an object lies in.

    Raises
    ------
    ConfigError
        If `uri` isn't that of an object.
    """
    folder, _, name = uri.rpartition("/")
    if not name or folder.endswith("/"):
        raise ConfigError(f"{uri!r} is not the URI of an object in a folder: correct it.")
    return folder


def relative(uri: str, base: str) -> str | None:
    """Return what follows the folder `base` in `uri`, without the slash; None if `uri` isn't below it.

    The rest is as it stands and may hold ``..``: hand it to :func:`join`, which refuses that.
    """
    folder = base.rstrip("/") + "/"
    rest = uri.removeprefix(folder)
    return rest if rest and uri.startswith(folder) else None
