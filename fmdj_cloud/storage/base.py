"""What every object store can do, whatever the scheme of its URIs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from fmdj_cloud.contracts import Frozen

OnBytes = Callable[[int, int], None]
"""Called as ``progress(bytes done, bytes in all)``, never by two threads at a time. What it raises stops the
transfer and reaches the caller."""


class ObjectInfo(Frozen):
    """An object as the store described it at one moment."""

    uri: str
    size: int
    """Bytes."""
    etag: str | None = None
    """Without quotes."""
    version_id: str | None = None
    """None where the bucket keeps no versions."""
    sha256: str | None = None
    """SHA-256 of the whole object as 64 hex digits, if the object carries one; a listing never does."""
    modified: dt.datetime | None = None
    """Naive UTC."""
    linked: bool = False
    """In a listing: whether a link leads there, from somewhere in the folder that was listed."""


class Store(Protocol):
    """An object store. One may be used by any number of threads.

    Every method raises ConfigError if bucket, credentials, rights or certificate are wrong, and StorageError
    if the store fails or can't be reached after all retries.
    """

    def head(self, uri: str, *, version_id: str | None = None) -> ObjectInfo:
        """Describe an object.

        Raises
        ------
        ObjectMissingError
            If it isn't there.
        """
        ...

    def list(self, prefix_uri: str) -> Iterator[ObjectInfo]:
        """Describe everything below a folder, at any depth, in the order of the keys.

        A folder is a whole path: ``.../a1`` doesn't hold what lies in ``.../a10``. A folder that isn't
        there is empty.
        """
        ...

    def get_bytes(
        self, uri: str, *, max_bytes: int, if_match: str | None = None, byte_range: tuple[int, int] | None = None
    ) -> bytes:
        """Read a small object, or a piece of one, into memory.

        Parameters
        ----------
        uri : str
        max_bytes : int
            The most that may be read.
        if_match : str, optional
            ETag that the object must have.
        byte_range : (int, int), optional
            First byte and the one after the last: ``(0, 10)`` reads ten. What lies past the end is left out.

        Raises
        ------
        ObjectMissingError, PreconditionError
        IntegrityError
            If the object is larger than `max_bytes`, or fewer bytes than promised arrive.
        """
        ...

    def put_bytes(self, uri: str, data: bytes) -> ObjectInfo:
        """Write a small object, with its SHA-256; one that is there is replaced at once."""
        ...

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
        """Copy an object to a local file, in parallel ranges, and verify it.

        `path` appears only when everything has arrived and matches; what was there is replaced. Beside what
        the caller demands, the object's own record counts: its SHA-256, else its ETag where that is an MD5.

        Parameters
        ----------
        uri : str
        path : Path
            In an existing folder.
        size : int, optional
            Bytes it must have.
        etag, version_id : str, optional
            The version that it must be.
        sha256 : str, optional
            What its bytes must have, 64 hex digits.
        progress : OnBytes, optional

        Raises
        ------
        ObjectMissingError
        PreconditionError
            If it isn't the version asked for, or is replaced meanwhile.
        IntegrityError
            If the bytes don't match a size or a checksum.
        DiskFullError
            If there is no room for it.
        """
        ...

    def upload(self, path: Path, uri: str, *, progress: OnBytes | None = None) -> ObjectInfo:
        """Copy a local file to the store, with its SHA-256; a failed upload leaves nothing behind.

        Raises
        ------
        IntegrityError
            If the store doesn't hold what was sent.
        """
        ...

    def delete(self, uri: str, *, below: str | None = None) -> None:
        """Delete an object; one that isn't there is no error.

        Parameters
        ----------
        uri : str
        below : str, optional
            Folder that it must really lie in, without any link on the way from there.

        Raises
        ------
        InputError
            If a link leads elsewhere: nothing is deleted there.
        """
        ...

    def unfinished(self, prefix_uri: str) -> Iterator[ObjectInfo]:
        """Describe what uploads have left below a folder, at any depth, that were begun and haven't ended.

        Their `uri` is that of the object, or of the temporary file; `modified` is when they were begun, or last
        written to.
        """
        ...

    def discard_unfinished(self, prefix_uri: str, *, before: dt.datetime | None = None) -> int:
        """Discard what uploads that were cut off have left below a folder, and return how many there were.

        Whoever was killed while it uploaded couldn't. No upload to that folder may be under way.

        Parameters
        ----------
        prefix_uri : str
        before : datetime, optional
            Only what :meth:`unfinished` says is older: naive UTC.
        """
        ...
