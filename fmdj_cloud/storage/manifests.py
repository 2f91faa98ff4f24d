"""Manifests in the store: read one, tell whether it is an attempt's, and whether its files are there."""

from __future__ import annotations

import hashlib
import logging

from fmdj_cloud.contracts import Manifest, RunRecord
from fmdj_cloud.errors import InputError, ObjectMissingError
from fmdj_cloud.storage.base import Store
from fmdj_cloud.storage.documents import DocumentError, parse_document, shown
from fmdj_cloud.storage.uri import join

MANIFEST_NAME = "manifest.json"
_MAX_BYTES = 4 * 1024 * 1024
"""Far above any manifest: a thousand ROIs take 0.5 MiB."""
_log = logging.getLogger(__name__)


def manifest_uri(folder: str) -> str:
    """Return the URI of the manifest of an attempt folder."""
    return f"{folder}/{MANIFEST_NAME}"


def commit_manifest(store: Store, folder: str, manifest: Manifest) -> str:
    """Write a manifest and return its SHA-256, 64 hex digits: from here on the attempt is published.

    A copy in the pod's own folder goes first: whatever another pod of the same attempt writes over the commit
    later, the manifest that was pinned is still found (:func:`pinned_bytes`).

    Raises
    ------
    StorageError
        If one of the two can't be written.
    """
    data = manifest.model_dump_json(indent=1).encode()
    store.put_bytes(join(folder, f"{manifest.nonce}/{MANIFEST_NAME}"), data)
    store.put_bytes(manifest_uri(folder), data)
    return hashlib.sha256(data).hexdigest()


def pinned_bytes(store: Store, folder: str, sha256: str) -> bytes | None:
    """Return the bytes of the manifest with this SHA-256, None if they are nowhere in the attempt folder.

    Parameters
    ----------
    store : Store
    folder : str
        URI of the attempt folder.
    sha256 : str
        Digest that the manifest was pinned by, 64 hex digits.

    Raises
    ------
    StorageError
        If the store can't be asked.
    """
    committed = manifest_uri(folder)
    found = _get(store, committed)
    if found is not None and hashlib.sha256(found).hexdigest() == sha256:
        return found
    for info in store.list(folder):
        if info.uri.endswith(f"/{MANIFEST_NAME}") and info.uri != committed:
            copy = _get(store, info.uri)
            if copy is not None and hashlib.sha256(copy).hexdigest() == sha256:
                return copy
    return None


def _get(store: Store, uri: str) -> bytes | None:
    limit = _MAX_BYTES + 1  # what is larger is no manifest, however large it is
    try:
        return store.get_bytes(uri, max_bytes=limit, byte_range=(0, limit))
    except ObjectMissingError:
        return None


def parse_manifest(data: bytes) -> tuple[Manifest, str]:
    """Return a manifest and the SHA-256 of its bytes.

    Raises
    ------
    DocumentError
        If `data` is no manifest; the message says what is wrong.
    """
    if len(data) > _MAX_BYTES:
        raise DocumentError(f"it has more than {_MAX_BYTES} bytes")
    return parse_document(Manifest, data), hashlib.sha256(data).hexdigest()


def read_manifest(
    store: Store, folder: str, run: RunRecord, attempt: int, spec_sha256: str
) -> tuple[Manifest, str] | None:
    """Return the valid manifest of an attempt, if there is one.

    Parameters
    ----------
    store : Store
    folder : str
        URI of the attempt folder.
    run : RunRecord
    attempt : int
    spec_sha256 : str
        Digest of the spec that the attempt was launched with.

    Returns
    -------
    (Manifest, str) or None
        The manifest and the SHA-256 of its bytes; None if there is none, or if what lies there isn't this
        attempt's (the reason is logged).

    Raises
    ------
    StorageError
        If the store can't be asked.
    """
    uri = manifest_uri(folder)
    data = _get(store, uri)
    if data is None:
        return None
    try:
        manifest, sha256 = parse_manifest(data)
    except ValueError as error:
        _log.warning("%s is not a manifest and is ignored: %s", uri, error)
        return None
    wrong = mismatch(manifest, run, attempt, spec_sha256)
    if wrong:
        _log.warning("%s is ignored: %s", uri, wrong)
        return None
    return manifest, sha256


def mismatch(manifest: Manifest, run: RunRecord, attempt: int, spec_sha256: str) -> str:
    """Return why a manifest isn't this attempt's, empty if it is: pure."""
    expected = {
        "run_id": run.run_id,
        "kind": run.kind,
        "attempt": attempt,
        "spec_sha256": spec_sha256,
        "content_digest": run.content_digest,
    }
    for name, value in expected.items():
        found = getattr(manifest, name)
        if found != value:
            return f"its {name} is {shown(found)}, not {value}"
    for file in manifest.files:
        inside = file.path.startswith(f"{manifest.nonce}/") and ".." not in file.path.split("/")
        if not inside and "://" not in file.path:
            return f"its file '{shown(file.path)}' lies outside its folder '{shown(manifest.nonce)}'"
    return ""


def file_uri(folder: str, path: str) -> str:
    """Return the URI of a manifest's file: below the attempt folder, or where an imported one lies.

    Raises
    ------
    InputError
        If `path` leaves the folder.
    """
    return path if "://" in path else join(folder, path)


def manifest_verifies(store: Store, folder: str, sha256: str) -> bool:
    """Tell whether a pinned manifest is still there, with all its files in their sizes.

    Parameters
    ----------
    store : Store
    folder : str
        URI of the attempt folder.
    sha256 : str
        Digest that the manifest was pinned by.

    Raises
    ------
    StorageError
        If the store can't be asked.
    """
    data = pinned_bytes(store, folder, sha256)
    if data is None:
        return False
    try:
        manifest, _ = parse_manifest(data)
        return all(store.head(file_uri(folder, file.path)).size == file.size for file in manifest.files)
    except (ObjectMissingError, InputError, ValueError):
        return False
