"""An object read in pieces, as a file: for whoever needs a part of it and can't tell in advance which bytes those are.

A decoder that opens a video, looks at its index and decodes some minutes of it reads little of the whole. Several may
read the same object at the same time, each at its own place, near each other: what one has fetched serves all.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from fmdj_cloud.errors import IntegrityError
from fmdj_cloud.storage.base import Store

CHUNK = 1 << 20
"""Bytes of one request: some tens of frames of motion JPEG."""
_AHEAD = 4
"""Chunks that are fetched before they are asked for, once reading goes on from one to the next."""
_KEPT = 32
"""Chunks in memory."""


class RangedObject:
    """One version of an object, read in chunks that are fetched once as long as they are kept.

    Memory is `kept` chunks and those on their way.

    Parameters
    ----------
    store : Store
    uri : str
    size : int
        Bytes of the object.
    etag : str or None
        Of the version that is read: another one is an error. None where the store knows none.
    until : int, optional
        Nothing from this byte on is fetched ahead: what is read ends about there.
    chunk, ahead, kept : int
    """

    def __init__(
        self,
        store: Store,
        uri: str,
        size: int,
        etag: str | None,
        *,
        until: int | None = None,
        chunk: int = CHUNK,
        ahead: int = _AHEAD,
        kept: int = _KEPT,
    ) -> None:
        if chunk < 1 or ahead < 0 or kept <= ahead:
            raise ValueError(f"chunks of {chunk} bytes, {ahead} ahead and {kept} kept make no sense")
        self._store = store
        self.uri = uri
        self.size = size
        self._etag = etag
        self._until = size if until is None else min(until, size)
        self._chunk = chunk
        self._ahead = ahead
        self._kept = kept
        self._lock = threading.Lock()
        self._chunks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._pool = ThreadPoolExecutor(max_workers=max(1, ahead), thread_name_prefix="fmdj-ranges")
        self._error: BaseException | None = None
        self.bytes_read = 0
        """Bytes fetched so far."""

    def __enter__(self) -> RangedObject:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Fetch nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def open(self) -> io.BufferedIOBase:
        """Return a new file over the object, with a position of its own."""
        return _File(self)

    def check(self) -> None:
        """Raise what a request has met: a decoder may have taken it for the end of the file."""
        if self._error is not None:
            raise self._error

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes ``start:stop`` (half-open), less what lies past the end.

        Raises
        ------
        ObjectMissingError, PreconditionError
            If this version is gone.
        StorageError
            If the store fails.
        """
        stop = min(stop, self.size)
        pieces = []
        while start < stop:
            number = start // self._chunk
            data = self._wait(number)
            first = number * self._chunk
            pieces.append(data[start - first : stop - first])
            start = first + self._chunk
        return b"".join(pieces)

    def _wait(self, number: int) -> bytes:
        with self._lock:
            goes_on = number in self._chunks or number - 1 in self._chunks
            wanted = self._of(number)
            if goes_on:
                last = min(number + self._ahead, max(number, -(-self._until // self._chunk) - 1))
                for following in range(number + 1, last + 1):
                    self._of(following)
        try:
            return wanted.result()
        except BaseException as error:  # of what was asked for: nothing is wrong if something read ahead fails
            self._error = error
            raise

    def _of(self, number: int) -> Future[bytes]:
        """Return a chunk that is here or on its way; one that failed is fetched again."""
        found = self._chunks.get(number)
        if found is None or (found.done() and found.exception() is not None):
            found = self._chunks[number] = self._pool.submit(self._fetch, number)
        self._chunks.move_to_end(number)
        while len(self._chunks) > self._kept:
            self._chunks.popitem(last=False)
        return found

    def _fetch(self, number: int) -> bytes:
        start = number * self._chunk
        stop = min(start + self._chunk, self.size)
        data = self._store.get_bytes(self.uri, max_bytes=stop - start, if_match=self._etag, byte_range=(start, stop))
        if len(data) != stop - start:
            raise IntegrityError(f"{self.uri} ends before byte {stop}, and {self.size} bytes were promised.")
        with self._lock:
            self.bytes_read += len(data)
        return data


class _File(io.BufferedIOBase):
    """A position in an object."""

    def __init__(self, source: RangedObject) -> None:
        self._source = source
        self._at = 0
        self.name = source.uri

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        if base + offset < 0:
            raise ValueError(f"byte {base + offset} lies before the file")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        stop = self._source.size if size is None or size < 0 else self._at + size
        data = self._source.read(self._at, stop)
        self._at += len(data)
        return data

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
