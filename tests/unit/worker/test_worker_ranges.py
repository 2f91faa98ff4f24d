from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmdj_cloud.errors import PreconditionError, StorageError
from fmdj_cloud.settings import FileSettings
from fmdj_cloud.storage.file import FileStore
from fmdj_cloud.storage.ranged import Chunks, RangedObject
from fmdj_cloud.worker.ranges import RangeServer, RemoteFile

DATA = bytes(range(251)) * 400


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode() + DATA)
    return FileStore(FileSettings(roots=(tmp_path,)))


@pytest.fixture
def server(store, tmp_path) -> Iterator[RangeServer]:
    infos = [store.head(f"file://{tmp_path}/{name}") for name in ("a", "b")]
    objects = [RangedObject(store, info.uri, info.size, info.etag, chunk=1000, chunks=Chunks(10_000)) for info in infos]
    with RangeServer(objects) as running:
        yield running


def remote(server: RangeServer, number: int) -> RemoteFile:
    return RemoteFile(server.path, number, len(DATA) + 1, f"video {number}")


def test_a_child_reads_each_object_as_a_file(server) -> None:
    first, second = remote(server, 0), remote(server, 1)
    assert first.read(4) == b"a" + DATA[:3]
    assert second.read(4) == b"b" + DATA[:3]
    second.seek(-5, io.SEEK_END)
    assert second.read() == DATA[-5:]
    assert second.read(10) == b""
    first.seek(1)
    assert first.read() == DATA
    assert server.bytes_read > len(DATA)


def test_several_threads_read_at_the_same_time(server) -> None:
    found: list[bytes] = []

    def read() -> None:
        with remote(server, 0) as file:
            found.append(file.read())

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"a" + DATA] * 4


def test_what_the_store_has_met_reaches_both_sides(server, tmp_path) -> None:
    file = remote(server, 0)
    file.read(10)
    (tmp_path / "a").write_bytes(DATA)
    file.seek(50_000)
    with pytest.raises(StorageError):
        file.read(10)
    with pytest.raises(PreconditionError):
        server.check()


def test_a_child_whose_parent_is_gone_gets_an_error(server) -> None:
    file = remote(server, 0)
    file.read(1)
    file._socket.shutdown(2)
    with pytest.raises(StorageError, match="video 0 can't be read"):
        file.read(10)


def test_a_number_that_nobody_has_is_an_error_and_no_hang(server) -> None:
    with pytest.raises(StorageError, match="IndexError"):
        remote(server, 9).read(1)
