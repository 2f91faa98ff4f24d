"""Pieces of videos for the computing child, which knows no store: it asks its parent for the bytes that it needs.

The parent listens on a socket beside the desk, in a folder that nobody else may enter. A request is a file's number,
an offset and a length; the answer is the bytes, or a sentence why there are none. What the store has met is kept, so
that the parent ends with that and not with what a decoder made of it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import socketserver
import struct
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fmdj_cloud.errors import FmdjError, StorageError
from fmdj_cloud.storage.ranged import Chunks, RangedObject

log = logging.getLogger(__name__)

_REQUEST = struct.Struct("!IQI")
"""File, offset, length."""
_ANSWER = struct.Struct("!?I")
"""Whether bytes follow (else a sentence), and how many."""
_AT_ONCE = 1 << 20


class RangeServer:
    """Gives a child what it asks for of some objects, as long as the context lasts.

    Parameters
    ----------
    objects : sequence of RangedObject
        By their numbers.
    chunks : Chunks, optional
        That they share, closed with them.
    """

    def __init__(self, objects: Sequence[RangedObject], chunks: Chunks | None = None) -> None:
        self._objects = objects
        self._chunks = chunks
        # Of its own and short: a socket's path holds about a hundred characters
        self._folder = tempfile.TemporaryDirectory(prefix="fmdj-r-")
        self.path = Path(self._folder.name) / "s"
        self._server = _Server(str(self.path), self._answer)

    def __enter__(self) -> RangeServer:
        threading.Thread(target=self._server.serve_forever, name="ranges", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for source in self._objects:
            source.close()
        if self._chunks is not None:
            self._chunks.close()
        self._folder.cleanup()

    @property
    def bytes_read(self) -> int:
        """Bytes fetched from the store so far."""
        return sum(source.bytes_read for source in self._objects)

    def check(self) -> None:
        """Raise what a request has met at the store."""
        for source in self._objects:
            source.check()

    def _answer(self, number: int, offset: int, length: int) -> tuple[bool, bytes]:
        try:
            return True, self._objects[number].read(offset, offset + length)
        except FmdjError as error:
            return False, error.sentence.encode()
        except Exception as error:
            log.exception("bytes %d:%d of video %d can't be had", offset, offset + length, number)
            return False, f"{type(error).__name__}: {error}".encode()


class RemoteFile(io.BufferedIOBase):
    """A video in the store, as the child sees it; each has a connection and a position of its own.

    Parameters
    ----------
    path : Path
        The parent's socket.
    number : int
        Of the file.
    size : int
        Its bytes.
    name : str
    """

    def __init__(self, path: Path, number: int, size: int, name: str) -> None:
        self._number = number
        self._size = size
        self._at = 0
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))

    def close(self) -> None:
        """Give the connection back."""
        self._socket.close()
        super().close()

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be sought."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a position and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"byte {base + offset} lies before the file")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, fewer only at the end.

        Raises
        ------
        StorageError
            If the parent can't get them.
        """
        stop = self._size if size is None or size < 0 else min(self._size, self._at + size)
        pieces = []
        while self._at < stop:
            piece = self._ask(min(_AT_ONCE, stop - self._at))
            if not piece:
                raise StorageError(f"{self.name} ends at byte {self._at}, and {self._size} bytes were promised.")
            pieces.append(piece)
            self._at += len(piece)
        return b"".join(pieces)

    def _ask(self, length: int) -> bytes:
        try:
            self._socket.sendall(_REQUEST.pack(self._number, self._at, length))
            found, count = _ANSWER.unpack(_exactly(self._socket, _ANSWER.size))
            data = _exactly(self._socket, count)
        except OSError as error:
            raise StorageError(f"{self.name} can't be read any more: {error.strerror or error}.") from error
        if not found:
            raise StorageError(data.decode("utf-8", "replace"))
        return data


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, answer: Any) -> None:
        self.answer = answer
        super().__init__(path, _Handler)


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the child is over
            while True:
                number, offset, length = _REQUEST.unpack(_exactly(self.request, _REQUEST.size))
                found, data = self.server.answer(number, offset, length)
                self.request.sendall(_ANSWER.pack(found, len(data)) + data)


def _exactly(connection: socket.socket, count: int) -> bytes:
    """Return so many bytes of a connection.

    Raises
    ------
    ConnectionError
        If it ends before.
    """
    pieces = []
    while count:
        piece = connection.recv(min(count, _AT_ONCE))
        if not piece:
            raise ConnectionResetError("the other side has ended")
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
