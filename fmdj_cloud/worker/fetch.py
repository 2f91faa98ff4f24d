"""The spec and the videos, from the object store to scratch."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from pydantic import ValidationError

from fmdj_cloud.contracts import RESULT_VERSION, SPEC_VERSION, RunSpec, VideoRef
from fmdj_cloud.errors import (
    ChangedError,
    ConfigError,
    DiskFullError,
    InputMissingError,
    IntegrityError,
    ObjectMissingError,
    PreconditionError,
    StoppedError,
)
from fmdj_cloud.storage.base import Store
from fmdj_cloud.worker.scratch import free_mib
from fmdj_cloud.worker.stop import Stop

Videos = tuple[tuple[Path, ...], ...]
"""Outer sequential, inner simultaneous, as ``facemap.process.run`` takes them."""

_SPEC_MAX_BYTES = 64 << 20
_FILES_AT_ONCE = 2
"""Each is itself downloaded in parallel ranges; two hide the gap between one file and the next."""
_MIB = 1 << 20


def read_spec(store: Store, uri: str, sha256: str) -> RunSpec:
    """Read the spec of an attempt and verify that it is the one meant.

    Parameters
    ----------
    store : Store
    uri : str
    sha256 : str
        Of its bytes, 64 hex digits.

    Raises
    ------
    IntegrityError
        If its bytes have another digest.
    ConfigError
        If it is of another version than this worker, or can't be understood.
    """
    data = store.get_bytes(uri, max_bytes=_SPEC_MAX_BYTES)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256.lower():
        raise IntegrityError(f"{uri} has SHA-256 {found}, not {sha256}: it isn't the spec that was launched.")
    try:
        spec = RunSpec.model_validate_json(data)
    except ValidationError as error:
        raise ConfigError(
            f"{uri} isn't a spec that this worker understands ({error.error_count()} problems, first: "
            f"{error.errors()[0]['msg']}): run controller and worker of the same version."
        ) from error
    if (spec.version, spec.result_version) != (SPEC_VERSION, RESULT_VERSION):
        raise ConfigError(
            f"{uri} is of spec version {spec.version} and result version {spec.result_version}, this worker of "
            f"{SPEC_VERSION} and {RESULT_VERSION}: run controller and worker of the same version."
        )
    return spec


def fetch_videos(store: Store, spec: RunSpec, folder: Path, *, stop: Stop) -> Videos:
    """Download all videos of a spec, exactly as they were when it was planned.

    Parameters
    ----------
    store : Store
    spec : RunSpec
    folder : Path
        New folder on scratch.
    stop : Stop
        Asked with every part that arrives.

    Raises
    ------
    ChangedError
        If a video was replaced since.
    InputMissingError
        If a video is gone.
    DiskFullError
        If they don't fit on the disk.
    """
    refs = [ref for row in spec.videos for ref in row]
    _check_names(refs)
    need = sum(ref.size for ref in refs)
    folder.mkdir()
    if need // _MIB >= (free := free_mib(folder)):
        raise DiskFullError(
            f"The videos need {need // _MIB + 1} MiB of scratch and {free} MiB are free: use a larger scratch disk "
            "(worker.scratch_dir)."
        )
    failed = threading.Event()

    def fetch(ref: VideoRef) -> None:
        def progress(_arrived: int, _total: int) -> None:
            stop.check()
            if failed.is_set():
                raise StoppedError(f"{ref.name} isn't needed any more: another video can't be fetched.")

        stop.check()
        _fetch(store, ref, folder / ref.name, progress)

    with ThreadPoolExecutor(_FILES_AT_ONCE, thread_name_prefix="fetch") as executor:
        futures = [executor.submit(fetch, ref) for ref in refs]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            failed.set()
            executor.shutdown(wait=False, cancel_futures=True)
            raise
    return tuple(tuple(folder / ref.name for ref in row) for row in spec.videos)


def _fetch(store: Store, ref: VideoRef, path: Path, progress: Callable[[int, int], None]) -> None:
    with video_trouble(ref):
        store.download(
            ref.uri,
            path,
            size=ref.size,
            etag=ref.etag,
            version_id=ref.version_id,
            sha256=ref.sha256,
            progress=progress,
        )


@contextlib.contextmanager
def video_trouble(ref: VideoRef) -> Iterator[None]:
    """Turn what the store says of a video into what it means for the run.

    Raises
    ------
    ChangedError
        If it was replaced.
    InputMissingError
        If it is gone.
    """
    try:
        yield
    except PreconditionError as error:
        raise ChangedError(f"{ref.uri} was replaced since the run was planned: it is planned again.") from error
    except ObjectMissingError as error:
        raise InputMissingError(
            f"{ref.uri} was there when the run was planned and is gone: put it back, then retry.", check="missing"
        ) from error


def _check_names(refs: list[VideoRef]) -> None:
    names = [ref.name for ref in refs]
    for name in names:
        if name in ("", ".", "..") or "/" in name or "\0" in name or names.count(name) > 1:
            raise ConfigError(
                f"{name!r} can't name a video on scratch: names must be plain and unique within a run; plan it again."
            )
