"""What happens in shared folders: links, other writers, kills, full disks, missing rights."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.errors import (
    ConfigError,
    DiskFullError,
    FmdjError,
    InputError,
    IntegrityError,
    ObjectMissingError,
    PreconditionError,
    StorageError,
)
from fmdj_cloud.settings import FileSettings
from fmdj_cloud.storage.file import FileStore
from fmdj_cloud.storage.roots import resolve

pytestmark = pytest.mark.integration


@pytest.fixture
def share(tmp_path: Path) -> Path:
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


@pytest.fixture
def store(share: Path) -> FileStore:
    return FileStore(FileSettings(roots=(share,)))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    return tmp_path / "outside"


def uri(path: Path) -> str:
    return f"file://{path}"


def uris(store: FileStore, folder: Path) -> list[str]:
    return [info.uri for info in store.list(uri(folder))]


# --- nothing leads out of a root


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_that_leads_out_of_its_root_is_refused_by_name(
    store: FileStore, share: Path, outside: Path, folder: Path, link: str
) -> None:
    if link == "file":
        (share / "secret").symlink_to(outside / "secret")
        target = share / "secret"
    else:
        (share / "deep").symlink_to(outside)
        target = share / "deep" / "secret"
    (share / "plain").write_bytes(b"x")

    for call in (
        lambda: store.head(uri(target)),
        lambda: store.get_bytes(uri(target), max_bytes=10),
        lambda: store.download(uri(target), folder / "x"),
        lambda: resolve(f"{target.relative_to(share)}", video_roots=(uri(share),), path_map={}, store=store),
    ):
        with pytest.raises(InputError, match=f"leads out of {share}, to {outside}/secret"):
            call()
    assert uris(store, share) == [uri(share / "plain")]
    assert list(folder.iterdir()) == []


def test_nothing_is_written_or_deleted_behind_a_link_that_leads_out(
    store: FileStore, share: Path, outside: Path, video: Path
) -> None:
    (share / "out").symlink_to(outside)

    for call in (
        lambda: store.put_bytes(uri(share / "out" / "new"), b"x"),
        lambda: store.put_bytes(uri(share / "out" / "a" / "b" / "new"), b"x"),
        lambda: store.upload(video, uri(share / "out" / "new")),
        lambda: store.delete(uri(share / "out" / "secret")),
    ):
        with pytest.raises(InputError, match="leads out of"):
            call()

    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_writing_and_deleting_where_a_link_lies_touch_the_link_alone(
    store: FileStore, share: Path, outside: Path
) -> None:
    for name in ("written", "deleted"):
        (share / name).symlink_to(outside / "secret")

    store.put_bytes(uri(share / "written"), b"new")
    store.delete(uri(share / "deleted"))

    assert (outside / "secret").read_bytes() == b"secret"
    assert store.get_bytes(uri(share / "written"), max_bytes=3) == b"new"
    assert uris(store, share) == [uri(share / "written")]


def test_nothing_is_deleted_behind_a_link_on_the_way_from_the_folder_that_is_meant(
    store: FileStore, share: Path
) -> None:
    (share / "videos").mkdir()
    (share / "processed" / "a1").mkdir(parents=True)
    for name in ("cam.avi", ".fmdj-0011.part"):
        (share / "videos" / name).write_bytes(b"frames")
    (share / "processed" / "a1" / "pod").symlink_to(share / "videos")
    (share / "processed" / "a1" / "own").write_bytes(b"x")
    (share / "processed" / "a1" / "latest").symlink_to("own")
    processed = uri(share / "processed")

    listed = {info.uri.rpartition("/")[2]: info.linked for info in store.list(processed)}
    assert listed == {"cam.avi": True, "latest": True, "own": False}
    with pytest.raises(InputError, match="through a link below"):
        store.delete(f"{processed}/a1/pod/cam.avi", below=processed)
    with pytest.raises(ConfigError, match="doesn't lie below"):
        store.delete(uri(share / "videos" / "cam.avi"), below=processed)
    assert store.discard_unfinished(processed) == 0
    store.delete(f"{processed}/a1/own", below=processed)

    assert {path.name for path in (share / "videos").iterdir()} == {"cam.avi", ".fmdj-0011.part"}
    assert not (share / "processed" / "a1" / "own").exists()


def test_a_link_to_another_place_in_the_same_root_is_as_good_as_the_place(store: FileStore, share: Path) -> None:
    (share / "2024" / "m1").mkdir(parents=True)
    (share / "2024" / "m1" / "a.avi").write_bytes(b"frames")
    (share / "m1").symlink_to("2024/m1")
    (share / "latest.avi").symlink_to(share / "m1" / "a.avi")

    for path in (share / "m1" / "a.avi", share / "latest.avi"):
        assert store.get_bytes(uri(path), max_bytes=10) == b"frames"
    store.put_bytes(uri(share / "m1" / "b"), b"x")
    assert (share / "2024" / "m1" / "b").read_bytes() == b"x"
    assert uris(store, share / "m1") == [uri(share / "m1" / "a.avi"), uri(share / "m1" / "b")]


def test_a_root_may_itself_be_reached_through_links(tmp_path: Path, share: Path) -> None:
    (share / "a.avi").write_bytes(b"frames")
    (tmp_path / "data").symlink_to(share)
    store = FileStore(FileSettings(roots=(tmp_path / "data",)))

    assert store.head(uri(tmp_path / "data" / "a.avi")).size == 6
    assert uris(store, tmp_path / "data") == [uri(tmp_path / "data" / "a.avi")]


def test_links_that_lead_in_a_circle_end(store: FileStore, share: Path) -> None:
    (share / "a").mkdir()
    (share / "a" / "file").write_bytes(b"x")
    (share / "a" / "up").symlink_to(share)
    (share / "self").symlink_to("self")

    assert uri(share / "a" / "file") in uris(store, share)
    with pytest.raises(InputError, match="self"):
        store.head(uri(share / "self"))


@pytest.mark.parametrize("path", ["../outside/secret", "a/../../outside/secret", "./secret", "a//b", "a\0b"])
def test_paths_that_climb_are_refused(store: FileStore, share: Path, outside: Path, path: str) -> None:
    for call in (
        lambda: store.head(f"{uri(share)}/{path}"),
        lambda: store.put_bytes(f"{uri(share)}/{path}", b"x"),
        lambda: store.delete(f"{uri(share)}/{path}"),
        lambda: resolve(path, video_roots=(uri(share),), path_map={}, store=store),
        lambda: resolve(f"{uri(share)}/{path}", video_roots=(uri(share),), path_map={}, store=store),
    ):
        if path.startswith(("./", "a//")) and "resolve" in call.__code__.co_names:
            continue  # mean the same as without
        with pytest.raises(InputError):
            call()
    assert (outside / "secret").read_bytes() == b"secret"


def test_what_lies_in_no_root_is_never_looked_at(store: FileStore, outside: Path, share: Path, tmp_path: Path) -> None:
    (tmp_path / "share2").mkdir()
    (tmp_path / "share2" / "x").write_bytes(b"x")

    for place in (outside / "secret", tmp_path / "share2" / "x"):
        with pytest.raises(ConfigError, match=r"none of storage.file.roots"):
            store.head(uri(place))
    with pytest.raises(ConfigError, match="names a root"):
        store.put_bytes(uri(share), b"x")


def test_a_share_that_is_not_mounted_is_a_matter_of_configuration(tmp_path: Path) -> None:
    store = FileStore(FileSettings(roots=(tmp_path / "nfs",)))

    for call in (
        lambda: store.head(uri(tmp_path / "nfs" / "a.avi")),
        lambda: list(store.list(uri(tmp_path / "nfs"))),
        lambda: store.put_bytes(uri(tmp_path / "nfs" / "x"), b"x"),
    ):
        with pytest.raises(ConfigError, match="mount the share"):
            call()
    assert not (tmp_path / "nfs").exists()


def test_an_absolute_path_below_a_mounted_root_needs_no_map(store: FileStore, share: Path) -> None:
    (share / "a.avi").write_bytes(b"x")

    found = resolve(str(share / "a.avi"), video_roots=(uri(share),), path_map={}, store=store)

    assert found.uri == uri(share / "a.avi")


# --- what else lies in folders


def test_what_is_no_file_is_missing_at_once(store: FileStore, share: Path) -> None:
    os.mkfifo(share / "pipe")
    (share / "folder").mkdir()
    (share / "file").write_bytes(b"x")

    for name in ("pipe", "folder", "file/below"):
        with pytest.raises(ObjectMissingError):
            store.head(uri(share / name))
    assert uris(store, share) == [uri(share / "file")]
    assert uris(store, share / "file") == []


@pytest.mark.parametrize("name", ["file/below", "folder"])
def test_something_that_lies_in_the_way_is_named(store: FileStore, share: Path, name: str) -> None:
    (share / "folder" / "full").mkdir(parents=True)
    (share / "file").write_bytes(b"x")

    with pytest.raises(ConfigError, match=f"{name}.*in its place"):
        store.put_bytes(uri(share / name), b"x")
    assert uris(store, share) == [uri(share / "file")]


def test_a_name_that_is_not_utf_8_is_left_out_and_told(
    store: FileStore, share: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (share / "good").write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(share) + b"/caf\xe9")).write_bytes(b"x")

    assert uris(store, share) == [uri(share / "good")]
    assert r"caf\xe9" in caplog.text


def test_files_that_are_being_written_are_not_listed(store: FileStore, share: Path) -> None:
    for name in (".fmdj-0123456789abcdef.part", ".nfs000000000000abcd", ".hidden"):
        (share / name).write_bytes(b"x")

    assert uris(store, share) == [uri(share / ".hidden")]


# --- other writers


def in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")


def by_rename(path: Path) -> None:
    other = path.with_name("other")
    shutil.copyfile(path, other)
    other.rename(path)


def cut(path: Path) -> None:
    os.truncate(path, 1000)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (in_place, PreconditionError),
        (by_rename, PreconditionError),
        (cut, (PreconditionError, IntegrityError)),
        (Path.unlink, ObjectMissingError),
    ],
)
def test_a_file_changed_while_it_comes_down_is_refused_and_leaves_nothing(
    store: FileStore, share: Path, video: Path, folder: Path, change: Callable[[Path], None], error: Any
) -> None:
    shutil.copyfile(video, share / "v")
    changed: list[int] = []

    def change_once(done: int, total: int) -> None:
        if not changed:
            changed.append(done)
            change(share / "v")

    with pytest.raises(error):
        store.download(uri(share / "v"), folder / "v", progress=change_once)

    assert list(folder.iterdir()) == []


def test_a_file_written_again_with_as_many_bytes_is_another(store: FileStore, share: Path) -> None:
    planned = store.put_bytes(uri(share / "v"), b"first")
    in_place(share / "v")

    assert store.head(uri(share / "v")).etag != planned.etag
    with pytest.raises(PreconditionError):
        store.get_bytes(uri(share / "v"), max_bytes=5, if_match=planned.etag)


def test_moving_and_reading_a_file_leave_it_the_same(store: FileStore, share: Path) -> None:
    info = store.put_bytes(uri(share / "v"), b"frames")
    (share / "v").rename(share / "w")
    (share / "w").chmod(0o600)
    os.link(share / "w", share / "kept by a backup")

    assert store.head(uri(share / "w")).etag == info.etag


def test_inodes_can_be_left_out_where_they_are_not_stable(share: Path) -> None:
    store = FileStore(FileSettings(roots=(share,), inodes=False))
    info = store.put_bytes(uri(share / "v"), b"frames")
    shutil.copy2(share / "v", share / "w")

    assert store.head(uri(share / "w")).etag == info.etag


def test_readers_never_see_half_a_file(store: FileStore, share: Path) -> None:
    place, size = uri(share / "manifest.json"), 1 << 20
    store.put_bytes(place, b"0" * size)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number = (number + 1) % 10
            store.put_bytes(place, b"%d" % number * size)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(100):
            data = store.get_bytes(place, max_bytes=size)
            assert len(data) == size
            assert data.count(data[:1]) == size
    finally:
        stop.set()
        for writer in writers:
            writer.join()


WRITER = """
import os, pathlib, signal, sys
from fmdj_cloud.settings import FileSettings
from fmdj_cloud.storage.file import FileStore
source, share = map(pathlib.Path, sys.argv[1:])
def die(done, total):
    if done > total // 2:
        os.kill(os.getpid(), signal.SIGKILL)
FileStore(FileSettings(roots=(share,))).upload(source, f"file://{share}/run/v", progress=die)
"""


@pytest.mark.parametrize("before", [None, b"what was there before"])
def test_a_writer_killed_in_the_middle_leaves_nothing_under_the_name(
    store: FileStore, share: Path, video: Path, before: bytes | None
) -> None:
    (share / "run").mkdir()
    if before is not None:
        store.put_bytes(uri(share / "run" / "v"), before)

    done = subprocess.run([sys.executable, "-c", WRITER, video, share], check=False)

    assert done.returncode == -signal.SIGKILL
    assert len(list((share / "run").glob(".fmdj-*.part"))) == 1
    assert len(uris(store, share)) == (before is not None)
    if before is not None:
        assert store.get_bytes(uri(share / "run" / "v"), max_bytes=100) == before
    store.upload(video, uri(share / "run" / "v"))
    assert store.head(uri(share / "run" / "v")).size == video.stat().st_size


# --- rights, full shares, file servers that fail


@pytest.fixture
def stranger_share(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A share of which this process may use only `open`, as a user who isn't root."""
    share = Path(tempfile.mkdtemp(prefix="fmdj-test-", dir="/tmp"))
    share.chmod(0o755)
    for name, mode in (("open", 0o777), ("closed", 0o700), ("readable", 0o755)):
        (share / name).mkdir()
        (share / name / "file").write_bytes(b"x")
        (share / name).chmod(mode)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    else:
        (share / "closed").chmod(0)
        (share / "readable").chmod(0o555)
    yield share
    if root:
        os.seteuid(0)
    for path in share.iterdir():
        path.chmod(0o755)
    shutil.rmtree(share)


def test_missing_rights_are_told_with_user_and_path(stranger_share: Path) -> None:
    share, store = stranger_share, FileStore(FileSettings(roots=(stranger_share,)))

    assert store.get_bytes(uri(share / "open" / "file"), max_bytes=1) == b"x"
    for call, doing, name in (
        (lambda: store.head(uri(share / "closed" / "file")), "read", "closed/file"),
        (lambda: list(store.list(uri(share))), "list", ""),
        (lambda: store.put_bytes(uri(share / "readable" / "new"), b"x"), "write", "readable/new"),
        (lambda: store.delete(uri(share / "readable" / "file")), "delete", "readable/file"),
    ):
        with pytest.raises(ConfigError, match=f"User {os.geteuid()} .* may not {doing} file://{share}/?{name}"):
            call()


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.ESTALE, StorageError),
        (errno.EIO, StorageError),
        (errno.EROFS, ConfigError),
    ],
)
@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_write_that_fails_is_told_and_leaves_nothing(
    store: FileStore, share: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, error: type[FmdjError]
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(error, match=f"file://{share}/v") as caught:
            store.put_bytes(uri(share / "v"), b"x")

    assert type(caught.value) is error
    assert list(share.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
def test_a_file_server_that_fails_is_a_storage_failure(
    store: FileStore, share: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (share / "v").write_bytes(b"frames")

    def fail(*args: Any) -> bytes:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", fail)
        for call in (
            lambda: store.get_bytes(uri(share / "v"), max_bytes=10),
            lambda: store.download(uri(share / "v"), folder / "v"),
        ):
            with pytest.raises(StorageError, match="share is mounted") as caught:
                call()
            assert type(caught.value) is StorageError

    assert list(folder.iterdir()) == []


def test_a_name_that_nfs_remembers_as_missing_is_looked_for_again(
    store: FileStore, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (share / "manifest.json").write_bytes(b"{}")
    real, failed = os.open, []

    def forgetful(path: str, *args: Any, **kwargs: Any) -> int:
        if str(path).endswith("manifest.json") and not failed:
            failed.append(path)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", forgetful)

    assert store.get_bytes(uri(share / "manifest.json"), max_bytes=2) == b"{}"
    assert failed
