"""What every embedded server needs: a guard, a user that isn't root, a place for its data."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fmdj_cloud.demo import guard
from fmdj_cloud.errors import ConfigError

START_S = 60.0
"""A server that hasn't answered by then never will, even on a busy laptop."""
_UNPRIVILEGED = "nobody"
"""Databases refuse to run as root; started by root, they run as this user."""
_SOCKET_PATH_MAX = 107
"""Bytes that the path of a unix socket may have."""


@contextlib.contextmanager
def guarded(
    command: list[str],
    log: Path,
    *,
    user: pwd.struct_passwd | None = None,
    remove: tuple[Path, ...] = (),
    signals: tuple[str, ...] = (),
    pipe: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for as long as the context, and this process, live.

    Parameters
    ----------
    command : list of str
    log : Path
        Gets what the server writes.
    user : pwd.struct_passwd, optional
        User to run it as.
    remove : tuple of Path
        Folders to remove when it has ended.
    signals : tuple of str
        Names of signals that end it, the gentlest first; else the guard's own.
    pipe : bool
        Whether its standard output can be read from the process, instead of going to the log.

    Yields
    ------
    subprocess.Popen
        The guard.
    """
    arguments = [sys.executable, "-I", "-S", guard.__file__]
    arguments += [] if user is None else ["--user", user.pw_name]
    arguments += [f"--remove={folder}" for folder in remove]
    arguments += [f"--signal={name}" for name in signals]
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [*arguments, "--", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if pipe else sink,
            stderr=sink,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        assert process.stdin is not None  # noqa: S101 - asked for above
        process.stdin.close()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def unprivileged_user(server: str) -> pwd.struct_passwd | None:
    """Return the user that `server` must run as: None if this process's own will do.

    Raises
    ------
    ConfigError
        If this process is root's, and there is no other user.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_UNPRIVILEGED)
    except KeyError as error:
        raise ConfigError(
            f"{server} doesn't run as root, and there is no user {_UNPRIVILEGED!r} here: run this as another user."
        ) from error


def make_home(prefix: str, longest: str, user: pwd.struct_passwd | None) -> Path:
    """Return a new folder that belongs to `user`, in a temporary area that it can reach.

    Parameters
    ----------
    prefix : str
        Of the folder's name.
    longest : str
        Relative path of the longest-named socket in it.
    user : pwd.struct_passwd or None
    """
    configured = tempfile.gettempdir()
    socket = Path(configured, prefix + "x" * 8, longest)
    fits = len(os.fsencode(socket)) <= _SOCKET_PATH_MAX
    area = configured if fits and (user is None or open_to_all(Path(configured))) else "/tmp"  # noqa: S108 - mkdtemp
    return Path(tempfile.mkdtemp(prefix=prefix, dir=area))


def run_as(user: pwd.struct_passwd | None, command: list[str], log: Path) -> None:
    """Run a command to its end as `user`; what it writes goes to the log.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    """
    uid, gid = (None, None) if user is None else (user.pw_uid, user.pw_gid)
    with log.open("ab") as sink:
        subprocess.run(
            command,
            check=True,
            stdout=sink,
            stderr=sink,
            stdin=subprocess.DEVNULL,
            cwd="/",
            user=uid,
            group=gid,
            extra_groups=None if user is None else [],
        )


def open_to_all(folder: Path) -> bool:
    """Whether every user can pass into a folder."""
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))
