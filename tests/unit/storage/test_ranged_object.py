from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmdj_cloud.demo.recordings import RecordingSpec, generate
from fmdj_cloud.errors import IntegrityError, PreconditionError
from fmdj_cloud.settings import FileSettings
from fmdj_cloud.storage.file import FileStore
from fmdj_cloud.storage.ranged import Chunks, RangedObject

DATA = bytes(range(251)) * 40


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    (tmp_path / "object").write_bytes(DATA)
    return FileStore(FileSettings(roots=(tmp_path,)))


def ranged(store: FileStore, tmp_path: Path, **options: Any) -> RangedObject:
    uri = f"file://{tmp_path}/object"
    info = store.head(uri)
    return RangedObject(store, uri, info.size, info.etag, **{"chunk": 1000, "ahead": 2, **options})


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    reads=st.lists(st.tuples(st.integers(0, len(DATA) + 10), st.integers(0, 3000)), max_size=12),
    chunk=st.integers(1, 4000),
)
def test_reads_what_a_file_would(store, tmp_path, reads, chunk) -> None:
    with ranged(store, tmp_path, chunk=max(chunk, 50)) as source:
        ours, plain = source.open(), io.BytesIO(DATA)
        for offset, size in reads:
            assert ours.seek(offset) == plain.seek(offset)
            assert ours.read(size) == plain.read(size)
            assert ours.tell() == plain.tell()


def test_two_files_over_one_object_fetch_each_chunk_once(store, tmp_path) -> None:
    with ranged(store, tmp_path) as source:
        first, second = source.open(), source.open()
        while first.read(300):
            second.read(300)
        assert source.bytes_read == len(DATA)


def test_objects_share_room_and_threads(tmp_path) -> None:
    store = FileStore(FileSettings(roots=(tmp_path,)))
    before = set(threading.enumerate())
    chunks = Chunks(room=8000, threads=2)
    sources = []
    for number in range(40):
        (tmp_path / f"{number}").write_bytes(bytes([number]) * 3000)
        info = store.head(f"file://{tmp_path}/{number}")
        sources.append(RangedObject(store, info.uri, info.size, info.etag, chunk=1000, ahead=2, chunks=chunks))
    for number, source in enumerate(sources):
        assert source.open().read() == bytes([number]) * 3000
        assert sum(size for _, size in chunks._kept.values()) <= 8000
    assert len([thread for thread in set(threading.enumerate()) - before if "fmdj-ranges" in thread.name]) <= 2
    read = sources[-1].bytes_read
    sources[-1].open().read()
    assert sources[-1].bytes_read == read  # still here
    chunks.close()


def test_nothing_is_fetched_ahead_of_where_reading_ends(store, tmp_path) -> None:
    with ranged(store, tmp_path, until=3000) as source:
        file = source.open()
        file.read(1)
        file.seek(1000)
        file.read(2000)
    assert source.bytes_read == 3000


def test_one_look_at_the_end_fetches_one_chunk(store, tmp_path) -> None:
    with ranged(store, tmp_path) as source:
        file = source.open()
        file.seek(-10, io.SEEK_END)
        assert file.read() == DATA[-10:]
    assert source.bytes_read == len(DATA) % 1000


def test_another_version_is_refused_and_remembered(store, tmp_path) -> None:
    with ranged(store, tmp_path) as source:
        file = source.open()
        file.read(10)
        (tmp_path / "object").write_bytes(DATA[::-1])
        file.seek(5000)
        with pytest.raises(PreconditionError):
            file.read(10)
        with pytest.raises(PreconditionError):
            source.check()


def test_an_object_that_ends_early_is_an_error(store, tmp_path) -> None:
    uri = f"file://{tmp_path}/object"
    with (
        RangedObject(store, uri, len(DATA) + 5, store.head(uri).etag, chunk=1000) as source,
        pytest.raises(IntegrityError, match="promised"),
    ):
        source.read(len(DATA) - 10, len(DATA) + 5)


def test_a_position_before_the_file_is_refused(store, tmp_path) -> None:
    with ranged(store, tmp_path) as source, pytest.raises(ValueError, match="before the file"):
        source.open().seek(-1)


def test_a_decoder_seeks_in_a_video_and_reads_little_of_it(tmp_path) -> None:
    recording = generate(RecordingSpec("v", width=160, height=120, nframes=(900,), codec="mjpeg", seed=1), tmp_path)
    path = recording.videos[0][0]
    store = FileStore(FileSettings(roots=(tmp_path,)))
    info = store.head(f"file://{path}")
    with RangedObject(store, info.uri, info.size, info.etag, chunk=1 << 14) as source:
        with av.open(source.open()) as container:
            stream = container.streams.video[0]
            container.seek(450, stream=stream)
            frame = next(container.decode(stream))
        source.check()
        assert frame.pts is not None
        assert 440 <= frame.pts <= 450
        assert source.bytes_read < info.size / 2
