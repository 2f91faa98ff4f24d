"""A folder on the scratch disk that is gone when the worker is, however it went."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fmdj_cloud.errors import ConfigError

log = logging.getLogger(__name__)

PREFIX = "fmdj-worker-"
_MIB = 1 << 20


@contextlib.contextmanager
def scratch_folder(base: Path | None, name: str) -> Iterator[Path]:
    """Make a folder of this worker's own, and remove it in the end.

    A worker that was killed can't remove its folder: the next one on the same disk does. A folder is alive
    while its worker holds the lock on the file beside it.

    Parameters
    ----------
    base : Path or None
        Existing folder on the scratch disk; None is the temporary directory.
    name : str
        Unique among the workers of this disk.

    Raises
    ------
    ConfigError
        If nothing can be written there.
    """
    base = Path(tempfile.gettempdir()) if base is None else base
    folder = base / f"{PREFIX}{name}"
    lock_path = base / f"{PREFIX}{name}.lock"
    try:
        base.mkdir(parents=True, exist_ok=True)
        _sweep(base)
        lock = _lock(lock_path, wait=True)
        folder.mkdir(mode=0o700)  # videos that others of this machine may not see lie there
    except OSError as error:
        raise ConfigError(
            f"The scratch folder {base} can't be used ({error.strerror or error}): set worker.scratch_dir to a folder "
            "that the worker may write to."
        ) from error
    assert lock is not None  # noqa: S101 - it was waited for
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            log.warning("%s can't be removed: remove it by hand", folder)
        lock_path.unlink(missing_ok=True)
        os.close(lock)


def free_mib(folder: Path) -> int:
    """Return the free space of the disk that holds `folder`, MiB."""
    return shutil.disk_usage(folder).free // _MIB


def _lock(path: Path, *, wait: bool) -> int | None:
    """Lock a file that others may be removing; return its descriptor, or None if it is held."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it was removed between opening and locking


def _sweep(base: Path) -> None:
    """Remove the folders of workers that were killed."""
    for path in base.glob(f"{PREFIX}*.lock"):
        with contextlib.suppress(OSError):  # another user's, or another worker is sweeping it
            lock = _lock(path, wait=False)
            if lock is None:
                continue
            folder = path.with_suffix("")
            if folder.exists():
                log.info("%s is left from a worker that was killed: removed", folder)
                shutil.rmtree(folder, ignore_errors=True)
            path.unlink(missing_ok=True)
            os.close(lock)
