"""The folders that ``file://`` URIs may lie in: no path, link or race leads out of them.

A file is opened first and asked then where it really lies (``/proc/self/fd``), so that nobody can put a link
in its place between a check and its use.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from fmdj_cloud.errors import (
    ConfigError,
    DiskFullError,
    FmdjError,
    InputError,
    ObjectMissingError,
    StorageError,
)
from fmdj_cloud.storage.uri import local_path

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)
_IN_THE_WAY = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY)
_NAMES = (errno.ELOOP, errno.ENAMETOOLONG)


class Folders:
    """The root folders.

    Parameters
    ----------
    roots : sequence of Path
        Absolute.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(str(root) for root in roots)

    def root_of(self, path: str) -> str:
        """Return the innermost root that holds a path, by its text.

        Raises
        ------
        ConfigError
            If none does, or it isn't there.
        """
        found = [root for root in self._roots if is_inside(path, root)]
        if not found:
            known = ", ".join(self._roots) or "none"
            raise ConfigError(f"file://{path} lies in none of storage.file.roots ({known}): add its folder there.")
        root = max(found, key=len)
        with file_errors(f"file://{root}", "read"):
            try:
                folder = stat.S_ISDIR(os.stat(root).st_mode)
            except (FileNotFoundError, NotADirectoryError):
                folder = False
        if not folder:
            raise ConfigError(f"There is no folder {root} here: mount the share, make the folder, or correct its URI.")
        return root

    @contextlib.contextmanager
    def reading(self, uri: str) -> Iterator[int]:
        """Open a file for reading; yield its descriptor.

        Raises
        ------
        ObjectMissingError
            If there is no such file.
        InputError
            If a link leads out of its root.
        ConfigError, StorageError
            As :func:`file_errors`.
        """
        path = local_path(uri)
        root = self.root_of(path)
        with file_errors(uri, "read"):
            # Not blocked by a pipe that lies there
            descriptor = _open_fresh(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            _check_inside(descriptor, root, uri)
            with file_errors(uri, "read"):
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ObjectMissingError(f"{uri} is no file: check its path.")
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def parent(self, uri: str, *, create: bool, below: str | None = None) -> Iterator[tuple[int, str]]:
        """Open the folder that a file lies in; yield its descriptor, and the file's name.

        Parameters
        ----------
        uri : str
        create : bool
            Make the folders below the root that aren't there.
        below : str, optional
            URI of a folder that it must lie in, without any link on the way from there.

        Raises
        ------
        InputError, ObjectMissingError, ConfigError, StorageError, DiskFullError
            As :meth:`reading`.
        """
        path = local_path(uri)
        root = self.root_of(path)
        folder, _, name = path.rpartition("/")
        if path == root:
            raise ConfigError(f"{uri!r} names a root, not a file in it: add the path.")
        with file_errors(uri, "write" if create else "delete"):
            if create:
                # No folder is made behind a link that leads out
                _refuse_outside(os.path.realpath(folder), root, uri)
                os.makedirs(folder, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _check_inside(descriptor, root, uri)
            if below is not None:
                _check_plain(descriptor, folder, below, uri)
            yield descriptor, name
        finally:
            os.close(descriptor)


def _check_inside(descriptor: int, root: str, uri: str) -> None:
    """Refuse what was opened if it really lies outside `root`."""
    with file_errors(uri, "read"):
        real = os.readlink(f"/proc/self/fd/{descriptor}")
    _refuse_outside(real, root, uri)


def _check_plain(descriptor: int, folder: str, below: str, uri: str) -> None:
    """Refuse an open folder that isn't what its path says, seen from a folder above it."""
    base = local_path(below)
    if not is_inside(folder, base):
        raise ConfigError(f"{uri!r} doesn't lie below {below!r}: correct the URI.")
    with file_errors(uri, "read"):
        real = os.readlink(f"/proc/self/fd/{descriptor}")
    if real != os.path.realpath(base) + folder.removeprefix(base):
        raise InputError(
            f"{uri} is reached through a link below {base}, to {real}: nothing is deleted there; remove the link.",
            check="path",
        )


def _refuse_outside(real: str, root: str, uri: str) -> None:
    if not is_inside(real, os.path.realpath(root)):
        raise InputError(
            f"{uri} is reached through a link that leads out of {root}, to {real}: put the file itself there, or name "
            "it under a root that holds it.",
            check="path",
        )


def is_inside(path: str, folder: str) -> bool:
    """Whether an absolute path is a folder, or lies below it, by its text."""
    return path == folder or path.startswith(f"{folder}/")


def _open_fresh(path: str, flags: int) -> int:
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        # NFS remembers for up to a minute that a name wasn't there. Reading its folder makes it look again.
        folder, _, name = path.rpartition("/")
        if name not in os.listdir(folder):
            raise
        return os.open(path, flags)


@contextlib.contextmanager
def file_errors(uri: str, doing: str) -> Iterator[None]:
    """Turn errors of the file system raised inside into ours.

    Parameters
    ----------
    uri : str
    doing : str
        Infinitive for the sentence: ``"read"``, ``"write"``, ``"list"``, ``"delete"``.

    Raises
    ------
    ObjectMissingError
        The file isn't there.
    ConfigError
        This user may not do that, or something else lies where a file or folder should be written.
    DiskFullError
        The share is full, or this user's quota.
    InputError
        The name is too long, or links lead in a circle.
    StorageError
        Anything else: stale handles, input/output errors, a file server that doesn't answer.
    """
    try:
        yield
    except OSError as error:
        raise _ours(error, uri, doing) from error


def _ours(error: OSError, uri: str, doing: str) -> FmdjError:
    why = error.strerror or str(error)
    if error.errno in _IN_THE_WAY and doing == "write":
        return ConfigError(f"Can't write {uri} ({why}): something else lies in its place; move it away.")
    if error.errno in _MISSING and doing != "write":
        return ObjectMissingError(f"There is no {uri} ({why}): check its path, or put the file there.")
    if error.errno in _FORBIDDEN:
        return ConfigError(
            f"User {os.geteuid()} (group {os.getegid()}) may not {doing} {uri} ({why}): give it the right, or run as "
            "another user."
        )
    if error.errno in _FULL:
        return DiskFullError(f"There is no room for {uri} ({why}): make room on that share, then retry.")
    if error.errno in _NAMES:
        return InputError(f"Can't {doing} {uri} ({why}): correct its path.", check="path")
    return StorageError(f"Can't {doing} {uri} ({why}): check that its file server is up and the share is mounted.")
