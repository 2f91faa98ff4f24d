from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.errors import ConfigError, ObjectMissingError
from fmdj_cloud.settings import S3Settings
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.client import make_client
from fmdj_cloud.storage.roots import resolve
from fmdj_cloud.storage.s3 import S3Store
from fmdj_cloud.storage.uri import split

pytestmark = pytest.mark.integration

NOT_ON_A_DISK = ["double//slash.avi", "folder", "folder/in it.avi"]
"""Keys that no files can have, or not at once."""


def test_keys_that_no_folder_could_hold_come_down(store: Store, bucket: str) -> None:
    for key in NOT_ON_A_DISK:
        store.put_bytes(f"{bucket}/{key}", key.encode())

    assert [info.uri for info in store.list(bucket)] == [f"{bucket}/{key}" for key in NOT_ON_A_DISK]
    for key in NOT_ON_A_DISK:
        assert store.get_bytes(f"{bucket}/{key}", max_bytes=1000) == key.encode()


def test_what_consoles_create_to_show_a_folder_is_not_listed(
    store: Store, bucket: str, s3_settings: S3Settings
) -> None:
    make_client(s3_settings).put_object(Bucket=split(bucket)[0], Key="runs/a1/", Body=b"")
    store.put_bytes(f"{bucket}/runs/a1/x", b"1")

    assert [info.uri for info in store.list(f"{bucket}/runs/a1")] == [f"{bucket}/runs/a1/x"]


def test_a_large_file_goes_up_in_parts_and_comes_down_in_ranges(
    s3_settings: S3Settings, bucket: str, folder: Path, video: Path
) -> None:
    store = S3Store(s3_settings.model_copy(update={"part_size_mib": 5, "concurrency": 3}))
    up: list[tuple[int, int]] = []
    down: list[tuple[int, int]] = []

    info = store.upload(video, f"{bucket}/v", progress=lambda done, total: up.append((done, total)))
    store.download(info.uri, folder / "v", etag=info.etag, progress=lambda done, total: down.append((done, total)))

    size = video.stat().st_size
    assert info.etag is not None
    assert info.etag.endswith("-3")
    assert info.sha256 == hashlib.sha256(video.read_bytes()).hexdigest()
    assert (folder / "v").read_bytes() == video.read_bytes()
    assert up[-1] == down[-1] == (size, size)


def test_an_object_that_another_program_wrote_carries_what_it_carries(
    store: Store, bucket: str, s3_settings: S3Settings, folder: Path
) -> None:
    client = make_client(s3_settings)
    name, _ = split(bucket)
    client.put_object(Bucket=name, Key="bare", Body=b"abc")
    client.put_object(Bucket=name, Key="checked", Body=b"abc", ChecksumAlgorithm="SHA256")

    assert store.head(f"{bucket}/bare").sha256 is None
    assert store.head(f"{bucket}/checked").sha256 == hashlib.sha256(b"abc").hexdigest()
    store.download(f"{bucket}/bare", folder / "bare")
    store.download(f"{bucket}/checked", folder / "checked")


def test_a_listing_of_many_pages_is_complete(store: Store, bucket: str, wired_settings: S3Settings, wire: Any) -> None:
    keys = [f"{bucket}/many/{number}" for number in range(5)]
    for key in keys:
        store.put_bytes(key, b"x")

    def two_a_page(exchange: Any) -> bool:
        exchange.path += "&max-keys=2"
        return False

    wire.before = two_a_page

    assert [info.uri for info in S3Store(wired_settings).list(f"{bucket}/many")] == keys
    assert len(wire.exchanges) == 3


def test_a_named_version_is_the_one_that_comes_down(
    store: Store, bucket: str, s3_settings: S3Settings, folder: Path
) -> None:
    make_client(s3_settings).put_bucket_versioning(
        Bucket=split(bucket)[0], VersioningConfiguration={"Status": "Enabled"}
    )
    first = store.put_bytes(f"{bucket}/v", b"first")
    second = store.put_bytes(f"{bucket}/v", b"second")

    store.download(first.uri, folder / "v", etag=first.etag, version_id=first.version_id)

    assert first.version_id not in (None, second.version_id)
    assert (folder / "v").read_bytes() == b"first"
    assert store.head(f"{bucket}/v") == store.head(f"{bucket}/v", version_id=second.version_id)


def test_a_bucket_without_versions_names_none(store: Store, bucket: str) -> None:
    assert store.put_bytes(f"{bucket}/v", b"x").version_id is None
    assert store.head(f"{bucket}/v").version_id is None


def test_the_version_null_identifies_nothing(wired_settings: S3Settings, wire: Any, bucket: str) -> None:
    wire.fault = lambda exchange: exchange.headers.append(("x-amz-version-id", "null"))
    suspended = S3Store(wired_settings)

    assert suspended.put_bytes(f"{bucket}/v", b"x").version_id is None
    assert suspended.head(f"{bucket}/v").version_id is None


def test_a_missing_object_is_missing_and_a_missing_bucket_is_a_matter_of_configuration(
    store: Store, bucket: str, folder: Path, video: Path
) -> None:
    gone = f"{bucket}/gone"
    for call in (
        lambda uri: store.head(uri),
        lambda uri: store.get_bytes(uri, max_bytes=1),
        lambda uri: store.download(uri, folder / "x"),
    ):
        with pytest.raises(ObjectMissingError, match="gone"):
            call(gone)
        with pytest.raises(ConfigError, match="no bucket 'no-such-bucket'"):
            call("s3://no-such-bucket/gone")
    for call in (
        lambda uri: store.put_bytes(uri, b"x"),
        lambda uri: store.upload(video, uri),
        lambda uri: list(store.list(uri)),
        lambda uri: store.delete(uri),
    ):
        with pytest.raises(ConfigError, match="no bucket 'no-such-bucket'"):
            call("s3://no-such-bucket/gone")
    store.delete(gone)
    assert list(folder.iterdir()) == []


def test_a_root_whose_bucket_is_missing_is_no_missing_input(store: Store) -> None:
    with pytest.raises(ConfigError, match="no bucket"):
        resolve("v.avi", video_roots=("s3://no-such-bucket/a",), path_map={}, store=store)
