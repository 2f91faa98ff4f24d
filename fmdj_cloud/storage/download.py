"""Parallel ranged download of one version of an object.

s3transfer sends ``If-Match`` only with some of its requests and only in its newest versions, so ranges are
fetched here: every one demands the same version, is retried on its own from where it broke off, and is
written straight to its place in the file. Memory is one chunk per thread, whatever the size of a range.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from botocore.exceptions import (
    HTTPClientError,
    IncompleteReadError,
)
from urllib3.exceptions import HTTPError

from fmdj_cloud.errors import ConfigError, DiskFullError, IntegrityError
from fmdj_cloud.storage.base import OnBytes

BROKEN = (HTTPClientError, HTTPError, IncompleteReadError, ConnectionError, TimeoutError)
"""Errors of a connection that breaks while a body is read: boto3 retries none of these."""
_CHUNK = 256 * 1024
_BACKOFF_S = 0.2
_BACKOFF_MAX_S = 20.0


class Body(Protocol):
    """A response's stream of bytes."""

    def read(self, amt: int | None = None) -> bytes:
        """Return at most `amt` bytes, none at the end."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


OpenRange = Callable[[int, int], Body]
"""``open_range(start, stop)`` asks the store for the bytes start:stop (half-open)."""


@contextlib.contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Yield a new file's name beside `path`; rename it to `path` if the block succeeds, else remove it.

    Raises
    ------
    DiskFullError, ConfigError
        If the disk is full or the folder can't be written.
    """
    temporary = path.with_name(f".fmdj-{secrets.token_hex(8)}.part")
    try:
        with local_errors(path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def local_errors(path: Path) -> Iterator[None]:
    """Turn errors of the local disk raised inside into ours."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFullError(
                f"There is no room for {path} ({error.strerror}): give it more scratch disk."
            ) from error
        raise ConfigError(f"Can't use {path} ({error.strerror or error}): check the folder and its rights.") from error


def fetch(
    open_range: OpenRange,
    path: Path,
    size: int,
    *,
    part_size: int,
    concurrency: int,
    attempts: int,
    progress: OnBytes | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Write `size` bytes of an object to a new file.

    Parameters
    ----------
    open_range : OpenRange
        Asks for one range; what it raises isn't retried here.
    path : Path
        File to create.
    size : int
    part_size : int
        Bytes of a range.
    concurrency : int
        Ranges at a time.
    attempts : int
        Tries of one range whose connection breaks.
    progress : OnBytes, optional
    sleep : callable
        Waits between tries, seconds.

    Raises
    ------
    DiskFullError
        If the file doesn't fit on the disk.
    IntegrityError
        If a range brings more bytes than asked for.
    """
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise DiskFullError(
            f"{path.parent} has {free / 2**20:.1f} MiB free, {size / 2**20:.1f} MiB are needed: "
            "give it more scratch disk."
        )
    job = _Fetch(open_range, path, size, part_size, attempts, progress, sleep)
    with path.open("xb") as file:
        file.truncate(size)
    workers = min(concurrency, -(-size // part_size))
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    # Daemon threads: who waits for a download must be able to stop at once, though a thread may sit in a
    # read from a silent connection until that times out. It then finds `failed` set and ends.
    for number in range(workers):
        threading.Thread(target=job.work, args=(ended,), name=f"fmdj-download-{number}", daemon=True).start()
    try:
        for _ in range(workers):
            error = ended.get()
            if error is not None:
                raise error
    finally:
        job.failed.set()


class _Fetch:
    """What the threads of one download share."""

    def __init__(
        self,
        open_range: OpenRange,
        path: Path,
        size: int,
        part_size: int,
        attempts: int,
        progress: OnBytes | None,
        sleep: Callable[[float], None],
    ) -> None:
        self._open_range = open_range
        self._path = path
        self._size = size
        self._ranges = iter([(start, min(start + part_size, size)) for start in range(0, size, part_size)])
        self._attempts = attempts
        self._progress = progress
        self._sleep = sleep
        self._done = 0
        self._lock = threading.Lock()
        self.failed = threading.Event()
        """Set when nobody waits any more: the threads stop at their next chunk."""

    def work(self, ended: queue.SimpleQueue[BaseException | None]) -> None:
        """Fetch ranges until none is left, and report how that ended."""
        try:
            # A descriptor of the thread's own: it may outlive the download by one read
            with self._path.open("r+b", buffering=0) as file:
                while (part := self._next()) is not None:
                    self._fetch_range(file.fileno(), *part)
        except BaseException as error:
            ended.put(error)
        else:
            ended.put(None)

    def _next(self) -> tuple[int, int] | None:
        with self._lock:
            return None if self.failed.is_set() else next(self._ranges, None)

    def _fetch_range(self, descriptor: int, start: int, stop: int) -> None:
        position = start
        body = self._open_range(position, stop)

        def read() -> None:
            nonlocal position
            while position < stop and not self.failed.is_set():
                chunk = body.read(_CHUNK)
                if not chunk:
                    raise ConnectionResetError(f"the connection ended {stop - position} bytes early")
                if position + len(chunk) > stop:
                    raise IntegrityError(f"The store sent more than the bytes {start} to {stop} it was asked for.")
                _write(descriptor, chunk, position)
                position += len(chunk)
                self._count(len(chunk))

        for attempt in range(1, self._attempts + 1):
            try:
                read()
            except BROKEN:
                if attempt == self._attempts or self.failed.is_set():
                    raise
            else:
                return
            finally:
                body.close()
            self._sleep(backoff_s(attempt))
            body = self._open_range(position, stop)

    def _count(self, count: int) -> None:
        with self._lock:
            self._done += count
            if self._progress is not None and not self.failed.is_set():
                self._progress(self._done, self._size)


def _write(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:  # the system may take less at a time
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def backoff_s(attempt: int) -> float:
    """Return how long to wait after a failed try (from 1), seconds."""
    return min(_BACKOFF_S * 2.0 ** (attempt - 1), _BACKOFF_MAX_S)
