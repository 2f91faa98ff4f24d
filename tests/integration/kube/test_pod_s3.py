"""The S3 API that tests on a cluster deploy there does what our storage asks of one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmdj_cloud.errors import ConfigError, ObjectMissingError, PreconditionError
from fmdj_cloud.settings import S3Settings, StorageSettings
from fmdj_cloud.storage import Store, open_store
from fmdj_cloud.storage.client import make_client
from tests.support.cluster.pod_s3 import make_server

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def settings() -> Iterator[S3Settings]:
    server = make_server(0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield S3Settings(
        endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
        region="us-east-1",
        addressing_style="path",
        access_key_id="any",
        secret_access_key="any",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        part_size_mib=5,
    )
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def store(settings: S3Settings) -> Store:
    make_client(settings).create_bucket(Bucket="bucket")
    return open_store(StorageSettings(s3=settings))


def test_a_small_object_comes_back(store: Store) -> None:
    put = store.put_bytes("s3://bucket/a b+c#d/é.txt", b"hello")

    assert store.get_bytes(put.uri, max_bytes=10) == b"hello"
    assert store.get_bytes(put.uri, max_bytes=10, byte_range=(1, 3)) == b"el"
    assert store.get_bytes(put.uri, max_bytes=10, byte_range=(7, 9)) == b""
    assert store.head(put.uri).sha256 == put.sha256


def test_a_large_file_goes_up_in_parts_and_comes_down_in_ranges(store: Store, tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(bytes(range(256)) * 50_000)
    info = store.upload(source, "s3://bucket/large")
    store.download(info.uri, copy, size=info.size, etag=info.etag, sha256=info.sha256)

    assert copy.read_bytes() == source.read_bytes()
    assert store.discard_unfinished("s3://bucket/") == 0


def test_an_object_that_was_replaced_is_refused(store: Store) -> None:
    before = store.put_bytes("s3://bucket/replaced", b"one")
    store.put_bytes(before.uri, b"two")

    with pytest.raises(PreconditionError):
        store.get_bytes(before.uri, max_bytes=10, if_match=before.etag)


def test_a_folder_is_listed_over_pages(store: Store) -> None:
    for number in range(1100):
        store.put_bytes(f"s3://bucket/many/{number:04}", b"x")

    assert len(list(store.list("s3://bucket/many"))) == 1100


def test_what_is_deleted_or_never_was_is_missing(store: Store) -> None:
    put = store.put_bytes("s3://bucket/gone", b"x")
    store.delete(put.uri)

    with pytest.raises(ObjectMissingError):
        store.head(put.uri)
    with pytest.raises(ConfigError):
        store.head("s3://no-bucket/x")


def test_an_upload_that_was_cut_off_is_discarded(store: Store, settings: S3Settings) -> None:
    client = make_client(settings)
    client.create_multipart_upload(Bucket="bucket", Key="cut/off")

    assert store.discard_unfinished("s3://bucket/cut") == 1
    assert store.discard_unfinished("s3://bucket/cut") == 0
