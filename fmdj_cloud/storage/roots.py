"""Where a recording's file lies: from ``file_path`` as the lab stored it to an object."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fmdj_cloud.errors import InputError, InputMissingError, ObjectMissingError
from fmdj_cloud.storage.base import ObjectInfo, Store
from fmdj_cloud.storage.uri import check_relative, join, relative

_DRIVE = re.compile(r"[A-Za-z]:([\\/]|$)")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def resolve(file_path: str, *, video_roots: Sequence[str], path_map: Mapping[str, str], store: Store) -> ObjectInfo:
    r"""Return the object that a ``file_path`` of the Element means.

    Parameters
    ----------
    file_path : str
        Relative to a root (the first root that has it wins); absolute as the lab mounts it
        (``/mnt/lab/m1/a.avi``, ``Z:\lab\m1\a.avi``, ``\\server\lab\m1\a.avi``), translated by `path_map`,
        or as it stands under a ``file://`` root; or a URI under a root.
    video_roots : sequence of str
        URIs of the root folders, in order.
    path_map : mapping of str to str
        Lab path prefix -> URI; the longest prefix that fits counts.
    store : Store

    Raises
    ------
    InputError
        If the path leaves the roots, or no prefix fits.
    InputMissingError
        If the object isn't there; the sentence names every place looked at.
    """
    places = candidates(file_path, video_roots=video_roots, path_map=path_map)
    for uri in places:
        try:
            return store.head(uri)
        except ObjectMissingError:
            continue
    raise InputMissingError(
        f"There is no video {file_path!r}: looked for {', '.join(places)}. Upload it, or correct file_path, "
        f"video_roots or path_map.",
        check="path",
    )


def candidates(file_path: str, *, video_roots: Sequence[str], path_map: Mapping[str, str]) -> list[str]:
    """Return the URIs that a ``file_path`` can mean, the first to look at first; parameters as :func:`resolve`.

    Raises
    ------
    InputError
        As :func:`resolve`.
    """
    if not file_path:
        raise InputError("A file of the recording has an empty file_path: correct it.", check="path")
    if _URI.match(file_path):
        return [_inside(file_path, (*video_roots, *path_map.values()))]
    if file_path.startswith(("/", "\\")) or _DRIVE.match(file_path):
        mounted = {root.removeprefix("file://"): root for root in video_roots if root.startswith("file://")}
        return [_mapped(file_path, {**mounted, **path_map})]
    if not video_roots:
        raise InputError(f"{file_path!r} is relative, but the pipeline has no video_roots: set them.", check="path")
    # On Linux a backslash may be part of a name: the path as it stands comes first
    spellings = list(dict.fromkeys("/".join(_segments(path)) for path in (file_path, file_path.replace("\\", "/"))))
    for spelling in spellings:
        check_relative(spelling)
    return [join(root, spelling) for root in video_roots for spelling in spellings]


def _inside(uri: str, folders: Sequence[str]) -> str:
    for folder in folders:
        rest = relative(uri, folder)
        if rest is not None:
            return join(folder, rest)
    known = ", ".join(dict.fromkeys(folders)) or "none"
    raise InputError(f"{uri!r} lies outside the pipeline's roots ({known}): add its folder to them.", check="path")


def _mapped(path: str, path_map: Mapping[str, str]) -> str:
    for prefix in sorted(path_map, key=lambda prefix: -len(_segments(prefix))):
        rest = _below(path, prefix)
        if rest is not None:
            return join(path_map[prefix], rest)
    known = ", ".join(repr(prefix) for prefix in path_map) or "none"
    raise InputError(
        f"{path!r} is an absolute path under no prefix of path_map ({known}): add its prefix there.", check="path"
    )


def _below(path: str, prefix: str) -> str | None:
    if _kind(path) != _kind(prefix):
        return None
    segments, folder = _segments(path), _segments(prefix)
    head, rest = segments[: len(folder)], segments[len(folder) :]
    if _kind(path) == "posix":
        same = head == folder
    else:  # Windows doesn't care for case
        same = [segment.casefold() for segment in head] == [segment.casefold() for segment in folder]
    return "/".join(rest) if same and rest else None


def _kind(path: str) -> str:
    if _DRIVE.match(path):
        return "drive"
    return "share" if path.startswith(("\\\\", "//")) else "posix"


def _segments(path: str) -> list[str]:
    """Cut a path; what means nothing in it (``.``, doubled slashes) is dropped, ``..`` stays to be refused."""
    # Windows takes both slashes; elsewhere a backslash is part of a name
    text = path if _kind(path) == "posix" else path.replace("\\", "/")
    return [segment for segment in text.split("/") if segment not in ("", ".")]
