"""Scratch folders that are gone when their loader is, however it ended."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fmdj_cloud.errors import ConfigError

_LOCK = ".lock"


@contextlib.contextmanager
def scratch_folder(workdir: Path | None) -> Iterator[Path]:
    """Give an empty folder for the time of the context, and remove those that killed loaders left behind.

    A folder in use is known by a lock that its process holds, so loaders may share `workdir`.

    Parameters
    ----------
    workdir : Path or None
        Where; None is the temporary directory.

    Yields
    ------
    Path

    Raises
    ------
    ConfigError
        If nothing can be written there.
    """
    home = (workdir or Path(tempfile.gettempdir())) / f"fmdj-load-{os.getuid()}"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if home.is_symlink() or home.stat().st_uid != os.getuid():
            raise ConfigError(f"{home} belongs to another user: set load.workdir to a folder of the loader's own.")
        with _locked(home):  # nobody sweeps between a folder's making and its locking
            _sweep(home)
            folder = Path(tempfile.mkdtemp(dir=home))
            lock = _lock(folder)
    except OSError as error:
        raise ConfigError(f"The loader can't keep files in {home} ({error}): set load.workdir.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _lock(folder: Path, *, wait: bool = True) -> int:
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = _lock(folder)
    try:
        yield
    finally:
        os.close(descriptor)


def _sweep(home: Path) -> None:
    for folder in home.iterdir():
        if not folder.is_dir():
            continue
        try:
            lock = _lock(folder, wait=False)
        except (BlockingIOError, FileNotFoundError):
            continue  # in use, or just removed by its owner
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
