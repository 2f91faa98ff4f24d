"""An object read in pieces, as a file: for whoever needs a part of it and can't tell in advance which bytes those are.

A decoder that opens a video, looks at its index and decodes some minutes of it reads little of the whole. Several may
read the same object at the same time, each at its own place, near each other: what one has fetched serves all.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from fmdj_cloud.errors import IntegrityError
from fmdj_cloud.storage.base import Store

CHUNK = 1 << 20
"""Bytes of one request: some tens of frames of motion JPEG."""
_AHEAD = 4
"""Chunks that are fetched before they are asked for, once reading goes on from one to the next."""
_ROOM = 32 * CHUNK


class Chunks:
    """Chunks of one object or of many: those that were used last are kept, and a few threads fetch them.

    Parameters
    ----------
    room : int
        Bytes that are kept, of all objects together; what each thread fetches comes on top.
    threads : int
    """

    def __init__(self, room: int = _ROOM, threads: int = _AHEAD) -> None:
        self.room = room
        self.lock = threading.RLock()
        """Held while several chunks are asked for."""
        self._kept: OrderedDict[tuple[object, int], tuple[Future[bytes], int]] = OrderedDict()
        self._bytes = 0
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="fmdj-ranges")

    def close(self) -> None:
        """Fetch nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __contains__(self, key: tuple[object, int]) -> bool:
        return key in self._kept

    def get(self, key: tuple[object, int], size: int, fetch: Callable[[], bytes]) -> Future[bytes]:
        """Return a chunk that is here or on its way; one that failed is fetched again.

        Parameters
        ----------
        key : (object, int)
            Whose it is, and its number there.
        size : int
            Bytes.
        fetch : callable
        """
        with self.lock:
            kept = self._kept.get(key)
            if kept is None or (kept[0].done() and kept[0].exception() is not None):
                self._bytes += size if kept is None else 0
                kept = self._kept[key] = self._pool.submit(fetch), size
            self._kept.move_to_end(key)
            while self._bytes > self.room and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1][1]
            return kept[0]


class RangedObject:
    """One version of an object, read in chunks that are fetched once as long as they are kept.

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
    chunk : int
        Bytes of one request.
    ahead : int
        Chunks that are fetched before they are asked for.
    chunks : Chunks, optional
        Shared with other objects, and closed by whoever made them; its own by default.
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
        chunks: Chunks | None = None,
    ) -> None:
        self._chunks = Chunks(threads=max(1, ahead)) if chunks is None else chunks
        self._shared = chunks is not None
        if chunk < 1 or ahead < 0 or self._chunks.room <= ahead * chunk:
            raise ValueError(f"chunks of {chunk} bytes and {ahead} ahead make no sense in {self._chunks.room} bytes")
        self._store = store
        self.uri = uri
        self.size = size
        self._etag = etag
        self._until = size if until is None else min(until, size)
        self._chunk = chunk
        self._ahead = ahead
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self.bytes_read = 0
        """Bytes fetched so far."""

    def __enter__(self) -> RangedObject:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Fetch nothing more, unless chunks are shared."""
        if not self._shared:
            self._chunks.close()

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
        with self._chunks.lock:
            goes_on = any((self, near) in self._chunks for near in (number, number - 1))
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
        size = min(self._chunk, self.size - number * self._chunk)
        return self._chunks.get((self, number), size, partial(self._fetch, number))

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
