"""The ``file://`` store: folders that every machine mounts under the same path.

What S3 calls an ETag is here the file's size, time of change and inode: a file that is written again, or
replaced by another, has another. (A file system that keeps times in whole seconds can't tell two writes of
the same size within one.) The files carry no checksum; outputs are named with theirs in the manifest.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import logging
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from fmdj_cloud.errors import ConfigError, IntegrityError, ObjectMissingError, PreconditionError
from fmdj_cloud.settings import FileSettings
from fmdj_cloud.storage.base import ObjectInfo, OnBytes
from fmdj_cloud.storage.download import fetch, local_errors, temporary_beside
from fmdj_cloud.storage.folders import Folders, file_errors, is_inside
from fmdj_cloud.storage.uri import local_path
from fmdj_cloud.storage.verify import verify_file

_CHUNK = 1 << 20
_PART = 64 << 20
"""Bytes that one thread reads before it takes the next piece."""
_TEMPORARY = ".fmdj-"
_INVISIBLE = (_TEMPORARY, ".nfs")
"""Beginnings of names that no listing shows: files being written, and those that NFS keeps for who has them open."""
_log = logging.getLogger(__name__)


class FileStore:
    """Files in shared folders; see :class:`fmdj_cloud.storage.base.Store` for what the methods promise.

    A link inside a root may lead anywhere in that root; one that leads out of it is an InputError that
    names it.

    Parameters
    ----------
    settings : FileSettings
    """

    def __init__(self, settings: FileSettings) -> None:
        self._settings = settings
        self._folders = Folders(settings.roots)

    def head(self, uri: str, *, version_id: str | None = None) -> ObjectInfo:
        """Describe a file."""
        _refuse_version(uri, version_id)
        with self._folders.reading(uri) as descriptor:
            return self._info(uri, _stat(uri, descriptor))

    def list(self, prefix_uri: str) -> Iterator[ObjectInfo]:
        """Describe everything below a folder; what can't be reached or named is left out with a warning."""
        path = local_path(prefix_uri)
        root = os.path.realpath(self._folders.root_of(path))
        with file_errors(prefix_uri, "list"):
            if os.path.isdir(path):
                yield from self._walk(path, root, ())

    def get_bytes(
        self, uri: str, *, max_bytes: int, if_match: str | None = None, byte_range: tuple[int, int] | None = None
    ) -> bytes:
        """Read a small file, or a piece of one, into memory."""
        with self._folders.reading(uri) as descriptor:
            info = self._info(uri, _stat(uri, descriptor))
            _refuse_other(info, if_match)
            start, stop = byte_range or (0, info.size)
            length = max(0, min(stop, info.size) - start)
            if length > max_bytes:
                raise IntegrityError(f"{uri} has {length} bytes, more than the {max_bytes} it may have.")
            with file_errors(uri, "read"):
                data = _read(descriptor, start, length)
            if if_match is not None:
                _refuse_other(self._info(uri, _stat(uri, descriptor)), if_match)
        if len(data) != length:
            raise IntegrityError(f"{uri} was cut while it was read: {len(data)} of {length} bytes came.")
        return data

    def put_bytes(self, uri: str, data: bytes) -> ObjectInfo:
        """Write a small file; it is there at once and whole, or not at all."""
        return self._write(uri, [data], len(data))

    def download(
        self,
        uri: str,
        path: Path,
        *,
        size: int | None = None,
        etag: str | None = None,
        version_id: str | None = None,
        sha256: str | None = None,
        progress: OnBytes | None = None,
    ) -> None:
        """Copy a file to a local one, in parallel ranges, and verify it."""
        _refuse_version(uri, version_id)
        with self._folders.reading(uri) as descriptor:
            info = self._info(uri, _stat(uri, descriptor))
            _refuse_other(info, etag)
            if size is not None and size != info.size:
                raise IntegrityError(f"{uri} has {info.size} bytes instead of {size}: copy it there again.")
            with temporary_beside(path) as temporary:
                fetch(
                    lambda start, stop: _Range(uri, descriptor, start, stop),
                    temporary,
                    info.size,
                    part_size=_PART,
                    concurrency=self._settings.concurrency,
                    attempts=1,
                    progress=progress,
                )
                _refuse_other(self._info(uri, _stat(uri, descriptor)), info.etag)  # written while it was read
                _refuse_other(self.head(uri), info.etag)  # another in its place
                verify_file(temporary, uri, size=info.size, sha256=(sha256,), md5=None)

    def upload(self, path: Path, uri: str, *, progress: OnBytes | None = None) -> ObjectInfo:
        """Copy a local file to the folder; it is there whole, or not at all."""
        with local_errors(path):
            file = path.open("rb")
        with file:
            size = os.fstat(file.fileno()).st_size

            def chunks() -> Iterator[bytes]:
                done = 0
                while True:
                    with local_errors(path):
                        chunk = file.read(_CHUNK)
                    if not chunk:
                        return
                    yield chunk
                    done += len(chunk)
                    if progress is not None:
                        progress(done, size)

            return self._write(uri, chunks(), size)

    def delete(self, uri: str, *, below: str | None = None) -> None:
        """Delete a file."""
        with (
            contextlib.suppress(ObjectMissingError),
            self._folders.parent(uri, create=False, below=below) as (folder, name),
            file_errors(uri, "delete"),
        ):
            os.unlink(name, dir_fd=folder)

    def unfinished(self, prefix_uri: str) -> Iterator[ObjectInfo]:
        """Describe uploads below a folder that haven't ended."""
        path = local_path(prefix_uri)
        self._folders.root_of(path)
        with file_errors(prefix_uri, "list"):
            for folder, _, names in os.walk(path):  # follows no link
                for name in sorted(names):
                    if name.startswith(_TEMPORARY):
                        with contextlib.suppress(FileNotFoundError):  # it has ended since
                            file = os.path.join(folder, name)
                            yield self._info(f"file://{file}", os.lstat(file))

    def discard_unfinished(self, prefix_uri: str, *, before: dt.datetime | None = None) -> int:
        """Discard what uploads that were cut off have left below a folder."""
        found = [one for one in self.unfinished(prefix_uri) if before is None or _is_before(one, before)]
        for one in found:
            self.delete(one.uri, below=prefix_uri)
        return len(found)

    def _write(self, uri: str, chunks: Iterable[bytes], size: int) -> ObjectInfo:
        digest = hashlib.sha256()
        with self._folders.parent(uri, create=True) as (folder, name):
            temporary = f"{_TEMPORARY}{secrets.token_hex(8)}.part"
            try:
                with file_errors(uri, "write"):
                    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                    descriptor = os.open(temporary, flags, 0o666, dir_fd=folder)
                with open(descriptor, "wb", buffering=0) as file:
                    for chunk in chunks:
                        digest.update(chunk)
                        with file_errors(uri, "write"):
                            _write_all(file.fileno(), chunk)
                    with file_errors(uri, "write"):
                        os.fsync(file.fileno())  # a file server may say only now that it is full
                        status = os.fstat(file.fileno())
                if status.st_size != size:
                    raise IntegrityError(f"{uri} would hold {status.st_size} bytes instead of {size}: upload it again.")
                with file_errors(uri, "write"):
                    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
                    os.fsync(folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise
        return self._info(uri, status, digest.hexdigest())

    def _walk(
        self, folder: str, root: str, above: tuple[tuple[int, int], ...], *, linked: bool = False
    ) -> Iterator[ObjectInfo]:
        status = os.stat(folder)
        here = (status.st_dev, status.st_ino)
        if here in above:
            return  # a link to a folder above
        with os.scandir(folder) as entries:
            found = [(entry, _is_folder(entry)) for entry in entries if _listable(entry, root)]
        # In the order of whole paths, as S3 lists
        for entry, is_folder in sorted(found, key=lambda pair: os.fsencode(pair[0].name + "/" * pair[1])):
            through_link = linked or entry.is_symlink()
            if is_folder:
                yield from self._walk(entry.path, root, (*above, here), linked=through_link)
                continue
            with contextlib.suppress(FileNotFoundError):  # deleted since
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    yield self._info(f"file://{entry.path}", status, linked=through_link)

    def _info(self, uri: str, status: os.stat_result, sha256: str | None = None, *, linked: bool = False) -> ObjectInfo:
        identity = [status.st_size, status.st_mtime_ns, *([status.st_ino] if self._settings.inodes else [])]
        return ObjectInfo(
            uri=uri,
            size=status.st_size,
            etag="-".join(f"{number:x}" for number in identity),
            sha256=sha256,
            modified=dt.datetime.fromtimestamp(status.st_mtime, dt.UTC).replace(tzinfo=None),
            linked=linked,
        )


class _Range:
    """A piece of an open file as a stream; see :class:`fmdj_cloud.storage.download.Body`."""

    def __init__(self, uri: str, descriptor: int, start: int, stop: int) -> None:
        self._uri = uri
        # Of its own: a thread may sit in a read when the download is given up, and the number is used again
        with file_errors(uri, "read"):
            self._descriptor = os.dup(descriptor)
        self._position, self._stop = start, stop

    def read(self, amt: int | None = None) -> bytes:
        """Return at most `amt` bytes, none at the end."""
        length = self._stop - self._position
        with file_errors(self._uri, "read"):
            data = os.pread(self._descriptor, length if amt is None else min(amt, length), self._position)
        if length and not data:
            raise IntegrityError(f"{self._uri} was cut while it was read, at byte {self._position}: copy it again.")
        self._position += len(data)
        return data

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def _is_before(info: ObjectInfo, moment: dt.datetime) -> bool:
    return info.modified is not None and info.modified < moment


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, a stale handle: its own look will tell
        return False


def _listable(entry: os.DirEntry[str], root: str) -> bool:
    """Whether an entry can be listed: it has a name, is no half-written file and no link that leads out or nowhere."""
    if entry.name.startswith(_INVISIBLE):
        return False
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        _log.warning("%r is left out: its name is not UTF-8; rename it.", os.fsencode(entry.path))
        return False
    if entry.is_symlink():
        real = os.path.realpath(entry.path)
        if not is_inside(real, root):
            _log.warning("%s is left out: it is a link that leads out of %s.", entry.path, root)
            return False
        return os.path.exists(real) and not os.path.islink(real)
    return True


def _stat(uri: str, descriptor: int) -> os.stat_result:
    with file_errors(uri, "read"):
        return os.fstat(descriptor)


def _read(descriptor: int, start: int, length: int) -> bytes:
    pieces = []
    while length and (piece := os.pread(descriptor, min(length, _CHUNK), start)):
        pieces.append(piece)
        start, length = start + len(piece), length - len(piece)
    return b"".join(pieces)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:  # the system may take less at a time
        view = view[os.write(descriptor, view) :]


def _refuse_version(uri: str, version_id: str | None) -> None:
    if version_id is not None:
        raise ConfigError(f"{uri} has no version {version_id!r}: a folder keeps none.")


def _refuse_other(info: ObjectInfo, etag: str | None) -> None:
    if etag is not None and etag != info.etag:
        raise PreconditionError(f"{info.uri} isn't the version that was asked for: it was replaced since.")
