"""What an attempt published: the pinned manifest, its spec, and signals.h5, all verified.

The controller pins the first valid manifest it reads by its SHA-256. A worker that is thought dead may
still write another ``manifest.json`` over it, so the pinned bytes are found by their digest.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from fmdj_cloud.contracts import AttemptRecord, Manifest, ManifestFile, RunRecord, RunSpec
from fmdj_cloud.errors import InputError, IntegrityError, LoadError, ObjectMissingError
from fmdj_cloud.load.scratch import scratch_folder
from fmdj_cloud.signals_h5 import vet
from fmdj_cloud.storage.base import Store
from fmdj_cloud.storage.documents import DocumentError, parse_document
from fmdj_cloud.storage.manifests import file_uri, manifest_uri, mismatch, pinned_bytes
from fmdj_cloud.storage.uri import relative

OUTPUT_DIR_MAX = 255
"""Characters of FacemapTask.facemap_output_dir."""
_MAX_JSON_BYTES = 16 << 20
"""Far above any spec or manifest; a bound so that a wrong object can't fill the memory."""
_Model = TypeVar("_Model", bound=BaseModel)


class OutputsMissingError(LoadError):
    """Something that was published isn't there: a store that copies its objects elsewhere may show them later."""


def read_published(store: Store, run: RunRecord, attempt: AttemptRecord) -> tuple[RunSpec, Manifest]:
    """Read the spec and the pinned manifest of a published run.

    Parameters
    ----------
    store : Store
    run : RunRecord
        In state published.
    attempt : AttemptRecord
        Its current attempt.

    Raises
    ------
    OutputsMissingError
        If one is gone.
    LoadError
        If one isn't what the ledger recorded, or belongs to another run or attempt.
    """
    if run.manifest_sha256 is None:
        raise LoadError(f"Run {run.run_id} is published without a manifest's digest: retry it.")
    data = pinned_bytes(store, attempt.folder, run.manifest_sha256)
    if data is None:
        raise OutputsMissingError(
            f"{manifest_uri(attempt.folder)} is gone or was overwritten, and no copy of the manifest "
            f"{run.manifest_sha256[:12]}... is left: retry the run."
        )
    manifest = _parse(Manifest, data, manifest_uri(attempt.folder))
    if wrong := mismatch(manifest, run, run.attempt, attempt.spec_sha256):
        raise LoadError(f"{manifest_uri(attempt.folder)} is not of this attempt ({wrong}): retry the run.")
    for file in manifest.files:
        try:
            file_uri(attempt.folder, file.path)
        except InputError as error:
            raise LoadError(f"{manifest_uri(attempt.folder)} names an impossible file: {error.sentence}") from error
    return _read_spec(store, attempt), manifest


@contextlib.contextmanager
def fetched_signals(store: Store, folder: str, manifest: Manifest, workdir: Path | None) -> Iterator[Path]:
    """Give a verified local copy of signals.h5, which can be opened safely, for the time of the context.

    Parameters
    ----------
    store : Store
    folder : str
        URI of the attempt folder.
    manifest : Manifest
    workdir : Path or None
        Where the copy is kept; None is the temporary directory.

    Yields
    ------
    Path

    Raises
    ------
    OutputsMissingError
        If the object is gone.
    LoadError
        If the manifest names no such file, or the object isn't the one that was published, or isn't laid out as
        documented.
    """
    named = signals_file(manifest)
    uri = file_uri(folder, named.path)
    with scratch_folder(workdir) as scratch:
        path = scratch / "signals.h5"
        try:
            store.download(uri, path, size=named.size, sha256=named.sha256)
        except ObjectMissingError as error:
            raise OutputsMissingError(
                f"{uri} is gone since it was published: retry the run to compute it again."
            ) from error
        except IntegrityError as error:
            raise LoadError(
                f"{uri} isn't the file that was published ({error.sentence}): retry the run to compute it again."
            ) from error
        vet(path)
        yield path


def signals_file(manifest: Manifest) -> ManifestFile:
    """Return the manifest's signals.h5.

    Raises
    ------
    LoadError
        If it names none, or several.
    """
    found = [file for file in manifest.files if file.role == "signals"]
    if len(found) != 1:
        raise LoadError(
            f"The manifest of run {manifest.run_id} names {len(found)} signal files, not one: retry the run."
        )
    return found[0]


def output_dir(folder: str, manifest: Manifest, processed_root: str) -> str | None:
    """Return the value for ``facemap_output_dir``: the folder of the file that the GUI would open.

    Parameters
    ----------
    folder : str
        URI of the attempt folder.
    manifest : Manifest
        Where Facemap itself wrote nothing, the folder of signals.h5 counts.
    processed_root : str
        URI that the value is relative to.

    Returns
    -------
    str or None
        None if the file doesn't lie below the processed root (an imported one may not).

    Raises
    ------
    LoadError
        If the value doesn't fit the column.
    """
    file = next((file for file in manifest.files if file.path == manifest.gui_file), signals_file(manifest))
    value = relative(file_uri(folder, file.path).rpartition("/")[0], processed_root)
    if value is not None and len(value) > OUTPUT_DIR_MAX:
        raise LoadError(
            f"facemap_output_dir {value!r} has {len(value)} characters; {OUTPUT_DIR_MAX} fit: shorten the path."
        )
    return value


def _read_spec(store: Store, attempt: AttemptRecord) -> RunSpec:
    uri = f"{attempt.folder}/spec.json"
    data = _get(store, uri)
    if data is None or _sha256(data) != attempt.spec_sha256:
        state, kind = ("is gone", OutputsMissingError) if data is None else ("was overwritten", LoadError)
        raise kind(f"{uri} {state}: what was asked for can't be compared with the outputs; retry the run.")
    return _parse(RunSpec, data, uri)


def _get(store: Store, uri: str) -> bytes | None:
    try:
        return store.get_bytes(uri, max_bytes=_MAX_JSON_BYTES)
    except ObjectMissingError:
        return None


def _parse(model: type[_Model], data: bytes, uri: str) -> _Model:
    try:
        return parse_document(model, data)
    except DocumentError as error:
        raise LoadError(
            f"{uri} can't be understood ({error}): it was written by another version of fmdj-cloud; retry the run."
        ) from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
