"""What holds of every store: S3 and shared folders alike."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fmdj_cloud.errors import (
    ConfigError,
    InputError,
    InputMissingError,
    IntegrityError,
    ObjectMissingError,
    PreconditionError,
    StoppedError,
)
from fmdj_cloud.settings import FileSettings, S3Settings, StorageSettings
from fmdj_cloud.storage import Store, open_store
from fmdj_cloud.storage.roots import resolve

pytestmark = pytest.mark.integration


@pytest.fixture(params=["s3", "file"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URI of an empty bucket, or of an empty folder."""
    if request.param == "s3":
        uri: str = request.getfixturevalue("bucket")
        return uri
    (tmp_path / "share").mkdir()
    return f"file://{tmp_path}/share"


@pytest.fixture
def store(tmp_path: Path, s3_settings: S3Settings) -> Store:
    s3 = s3_settings.model_copy(update={"part_size_mib": 5})
    return open_store(StorageSettings(s3=s3, file=FileSettings(roots=(tmp_path / "share",))))


AWKWARD = [
    "plain.avi",
    "mouse 1/session 2/a b.avi",
    "a+b.avi",
    "cam#1.avi",
    "100%.avi",
    "%20.avi",
    "what?&=x.avi",
    "Ünïcödé/鼠标/🐭.avi",
    "back\\slash.avi",
    "quote'\"<>&.avi",
    "..dots../...avi",
    "~tilde,semi;colon:at@.avi",
]


@pytest.mark.parametrize("key", AWKWARD)
def test_whatever_the_key_what_goes_up_comes_down(store: Store, base: str, folder: Path, key: str) -> None:
    source = folder.parent / "source"
    source.write_bytes(key.encode())
    uri = f"{base}/{key}"

    sent = store.upload(source, uri)
    store.download(uri, folder / "copy", size=sent.size, etag=sent.etag, sha256=sent.sha256)

    assert (folder / "copy").read_bytes() == key.encode()
    assert [info.uri for info in store.list(base)] == [uri]
    assert store.get_bytes(uri, max_bytes=1000) == key.encode()
    assert store.put_bytes(uri, b"other").etag == store.head(uri).etag
    store.delete(uri)
    assert list(store.list(base)) == []


def test_an_empty_object_comes_down(store: Store, base: str, folder: Path) -> None:
    info = store.put_bytes(f"{base}/empty", b"")

    store.download(info.uri, folder / "empty", size=0, etag=info.etag, sha256=info.sha256)

    assert (folder / "empty").read_bytes() == b""
    assert store.get_bytes(info.uri, max_bytes=0) == b""


def test_a_byte_range_is_half_open_and_may_pass_the_end(store: Store, base: str) -> None:
    uri = store.put_bytes(f"{base}/digits", b"0123456789").uri

    assert store.get_bytes(uri, max_bytes=10, byte_range=(2, 5)) == b"234"
    assert store.get_bytes(uri, max_bytes=10, byte_range=(8, 18)) == b"89"
    assert store.get_bytes(uri, max_bytes=10, byte_range=(10, 12)) == b""
    assert store.get_bytes(uri, max_bytes=10, byte_range=(4, 4)) == b""


def test_more_bytes_than_allowed_are_not_read(store: Store, base: str) -> None:
    uri = store.put_bytes(f"{base}/digits", b"0123456789").uri

    with pytest.raises(IntegrityError, match="10 bytes, more than the 9"):
        store.get_bytes(uri, max_bytes=9)


def test_a_folder_is_a_whole_path(store: Store, base: str) -> None:
    for key in ("runs/a1/x", "runs/a1/n/y", "runs/a10/x", "runs/a1.json", "runs/a1-x/n"):
        store.put_bytes(f"{base}/{key}", b"1")

    expected = [f"{base}/runs/a1/n/y", f"{base}/runs/a1/x"]
    assert [info.uri for info in store.list(f"{base}/runs/a1")] == expected
    assert [info.uri for info in store.list(f"{base}/runs/a1/")] == expected
    assert len(list(store.list(base))) == 5
    assert list(store.list(f"{base}/nothing")) == []


def test_a_local_file_that_is_not_there_is_named(store: Store, base: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"signals\.h5"):
        store.upload(tmp_path / "signals.h5", f"{base}/x")


def test_the_first_root_that_has_the_file_wins(store: Store, base: str) -> None:
    roots = (f"{base}/new", f"{base}/old")
    old = store.put_bytes(f"{base}/old/m1/a b.avi", b"old")

    assert resolve("m1/a b.avi", video_roots=roots, path_map={}, store=store).etag == old.etag

    new = store.put_bytes(f"{base}/new/m1/a b.avi", b"new")

    assert resolve("m1/a b.avi", video_roots=roots, path_map={}, store=store).etag == new.etag
    assert resolve("Z:\\m1\\a b.avi", video_roots=(), path_map={"Z:\\": roots[1]}, store=store).uri == old.uri
    assert resolve("m1\\a b.avi", video_roots=roots[1:], path_map={}, store=store).uri == old.uri
    assert resolve(old.uri, video_roots=roots, path_map={}, store=store).uri == old.uri


def test_a_file_that_no_root_has_is_missing_and_every_place_is_named(store: Store, base: str) -> None:
    with pytest.raises(InputMissingError, match=f"{base}/a/v.avi, {base}/b/v.avi"):
        resolve("v.avi", video_roots=(f"{base}/a", f"{base}/b/"), path_map={}, store=store)


def test_an_object_outside_the_roots_is_never_looked_at(store: Store, base: str) -> None:
    secret = store.put_bytes(f"{base}/secret.avi", b"x").uri

    for path in (secret, "../secret.avi", f"{base}/videos/../secret.avi"):
        with pytest.raises(InputError):
            resolve(path, video_roots=(f"{base}/videos",), path_map={}, store=store)


def test_a_listing_is_in_the_order_of_whole_paths(store: Store, base: str) -> None:
    paths = ["a/b", "a-b", "a.b/c", "a0", "a/a/a", "B", "é/x", "e"]
    for path in paths:
        store.put_bytes(f"{base}/{path}", b"1")

    expected = [f"{base}/{path}" for path in sorted(paths, key=str.encode)]
    assert [info.uri for info in store.list(base)] == expected


def test_a_large_file_goes_and_comes_whole_and_tells_its_progress(
    store: Store, base: str, folder: Path, video: Path
) -> None:
    up: list[tuple[int, int]] = []
    down: list[tuple[int, int]] = []

    info = store.upload(video, f"{base}/v", progress=lambda done, total: up.append((done, total)))
    store.download(info.uri, folder / "v", etag=info.etag, progress=lambda done, total: down.append((done, total)))

    size = video.stat().st_size
    assert info.sha256 == hashlib.sha256(video.read_bytes()).hexdigest()
    assert (folder / "v").read_bytes() == video.read_bytes()
    assert up[-1] == down[-1] == (size, size)
    assert store.head(info.uri).etag == info.etag


def test_an_object_replaced_since_it_was_looked_at_is_refused(store: Store, base: str, folder: Path) -> None:
    planned = store.put_bytes(f"{base}/v", b"planned")
    store.put_bytes(f"{base}/v", b"changed")

    with pytest.raises(PreconditionError, match="replaced"):
        store.download(planned.uri, folder / "v", etag=planned.etag)
    with pytest.raises(PreconditionError, match="replaced"):
        store.get_bytes(planned.uri, max_bytes=100, if_match=planned.etag)

    assert list(folder.iterdir()) == []


def test_what_the_caller_demands_counts(store: Store, base: str, folder: Path) -> None:
    info = store.put_bytes(f"{base}/v", b"frames")

    with pytest.raises(IntegrityError, match="SHA-256"):
        store.download(info.uri, folder / "v", sha256="0" * 64)
    with pytest.raises(IntegrityError, match="6 bytes instead of 7"):
        store.download(info.uri, folder / "v", size=7)

    assert list(folder.iterdir()) == []


def test_a_transfer_that_is_stopped_leaves_nothing(store: Store, base: str, video: Path, folder: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise StoppedError("Asked to stop.")

    with pytest.raises(StoppedError):
        store.upload(video, f"{base}/v", progress=stop)
    assert list(store.list(base)) == []
    uri = store.upload(video, f"{base}/v").uri
    with pytest.raises(StoppedError):
        store.download(uri, folder / "v", progress=stop)

    assert list(folder.iterdir()) == []


def test_a_missing_object_is_missing(store: Store, base: str, folder: Path) -> None:
    gone = f"{base}/no/gone"

    with pytest.raises(ObjectMissingError, match="gone"):
        store.head(gone)
    with pytest.raises(ObjectMissingError, match="gone"):
        store.get_bytes(gone, max_bytes=1)
    with pytest.raises(ObjectMissingError, match="gone"):
        store.download(gone, folder / "x")
    store.delete(gone)
    assert list(folder.iterdir()) == []
