"""Files that other pods have committed: fetched, and found to be what was committed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fmdj_cloud.contracts import ManifestFile
from fmdj_cloud.errors import DiskFullError, IntegrityError, ObjectMissingError
from fmdj_cloud.storage.manifests import file_uri
from fmdj_cloud.worker.pod import Pod
from fmdj_cloud.worker.scratch import free_mib

log = logging.getLogger(__name__)

_AT_ONCE = 4
_MIB = 1 << 20


def base_name(file: ManifestFile) -> str:
    """Return what a committed file is called, wherever it lies."""
    return file.path.rpartition("/")[2]


def fetch_given(pod: Pod, files: Sequence[tuple[ManifestFile, str]]) -> None:
    """Fetch files of this attempt's commits to the desk.

    Parameters
    ----------
    pod : Pod
    files : sequence of (ManifestFile, str)
        With the name that each gets.

    Raises
    ------
    StorageError
        If one is gone, or isn't what was committed.
    DiskFullError
        If there is no room for them.
    """
    pod.desk.given.mkdir(exist_ok=True)
    need, free = sum(file.size for file, _ in files) // _MIB, free_mib(pod.desk.given)
    if need >= free:
        raise DiskFullError(
            f"What other pods have computed needs {need + 1} MiB of scratch and {free} MiB are free: it is tried again "
            "with more (worker.scratch_dir)."
        )

    def fetch(file: ManifestFile, name: str) -> None:
        pod.stop.check()
        _download(pod, pod.spec.attempt_uri, file, pod.desk.given / name)

    with pod.timings.of("fetch"), ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="given") as executor:
        for future in [executor.submit(fetch, file, name) for file, name in files]:
            future.result()


def whole_uris(pod: Pod, folder: str, files: Sequence[ManifestFile]) -> tuple[ManifestFile, ...] | None:
    """Return files of an earlier attempt by their whole URIs, None unless all bytes are there.

    Parameters
    ----------
    pod : Pod
    folder : str
        URI of that attempt's folder.
    files : sequence of ManifestFile

    Raises
    ------
    StorageError
        If the store can't be asked.
    """
    checked = pod.desk.folder / "checked"
    for file in files:
        pod.stop.check()
        try:
            _download(pod, folder, file, checked)
        except (ObjectMissingError, IntegrityError) as error:
            log.warning("what %s has computed isn't used: %s", folder, error.sentence)
            return None
        finally:
            checked.unlink(missing_ok=True)
    return tuple(file.model_copy(update={"path": file_uri(folder, file.path)}) for file in files)


def _download(pod: Pod, folder: str, file: ManifestFile, path: Path) -> None:
    def progress(done: int, total: int) -> None:
        pod.stop.check()

    uri = file_uri(folder, file.path)
    pod.store.download(uri, path, size=file.size, sha256=file.sha256, progress=progress)
