"""Commits of the stages of a sharded attempt: write one, read one, and tell whether it is an attempt's.

The stage that follows goes by the same rules as the controller, so both call these functions.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TypeVar

from fmdj_cloud.contracts import BasisCommit, Frozen, ManifestFile, PartCommit, ShardRange
from fmdj_cloud.contracts.shards import BASIS_NAME, part_index, part_name
from fmdj_cloud.errors import ObjectMissingError
from fmdj_cloud.storage.base import Store
from fmdj_cloud.storage.documents import DocumentError, parse_document, shown
from fmdj_cloud.storage.uri import join

_MAX_BYTES = 4 * 1024 * 1024
_log = logging.getLogger(__name__)
_Commit = TypeVar("_Commit", BasisCommit, PartCommit)


class Identity(Frozen):
    """What commits of an attempt must say of themselves."""

    run_id: str
    attempt: int
    spec_sha256: str
    content_digest: str


class Content(Frozen):
    """What commits of earlier attempts of a run must say of themselves."""

    run_id: str
    content_digest: str


def basis_uri(folder: str) -> str:
    """Return the URI of the basis' commit in an attempt folder."""
    return f"{folder}/{BASIS_NAME}"


def part_uri(folder: str, index: int) -> str:
    """Return the URI of a shard's commit in an attempt folder."""
    return f"{folder}/{part_name(index)}"


def commit_basis(store: Store, folder: str, commit: BasisCommit) -> None:
    """Write the commit of stage ``basis``: from here on that stage is done.

    A copy in the pod's own folder goes first, for people who look there later.

    Raises
    ------
    StorageError
        If one of the two can't be written.
    """
    _commit(store, folder, BASIS_NAME, commit)


def commit_part(store: Store, folder: str, commit: PartCommit) -> None:
    """Write the commit of a shard: from here on it is done.

    Raises
    ------
    StorageError
        If it, or its copy in the pod's own folder, can't be written.
    """
    _commit(store, folder, part_name(commit.index), commit)


def read_basis(store: Store, folder: str, identity: Identity) -> BasisCommit | None:
    """Return the valid commit of an attempt's stage ``basis``.

    Parameters
    ----------
    store : Store
    folder : str
        URI of the attempt folder.
    identity : Identity

    Returns
    -------
    BasisCommit or None
        None if there is none, or if what lies there isn't this attempt's (the reason is logged).

    Raises
    ------
    StorageError
        If the store can't be asked.
    """
    return _read(store, basis_uri(folder), BasisCommit, identity)


def read_part(
    store: Store,
    folder: str,
    identity: Identity,
    index: int,
    *,
    shard: ShardRange | None = None,
    basis_digest: str = "",
) -> PartCommit | None:
    """Return the valid commit of one of an attempt's shards.

    Parameters
    ----------
    store : Store
    folder : str
        URI of the attempt folder.
    identity : Identity
    index : int
        Of the shard.
    shard : ShardRange, optional
        Frames that it must be of, where the basis says them.
    basis_digest : str
        Digest of the basis that it must be computed with; empty for pose.

    Returns
    -------
    PartCommit or None
        None if there is none, or if what lies there isn't this attempt's (the reason is logged).

    Raises
    ------
    StorageError
        If the store can't be asked.
    """
    uri = part_uri(folder, index)
    found = _read(store, uri, PartCommit, identity)
    if found is None:
        return None
    wrong = ""
    if found.index != index:
        wrong = f"it is of shard {found.index}"
    elif shard is not None and found.range != shard:
        ours, theirs = shard, found.range
        wrong = f"it is of frames {theirs.start}:{theirs.stop}, not {ours.start}:{ours.stop}"
    elif found.basis_digest != basis_digest:
        wrong = "it was computed with another basis"
    if wrong:
        _log.warning("%s is ignored: %s", uri, wrong)
    return None if wrong else found


def earlier_basis(store: Store, folder: str, content: Content) -> BasisCommit | None:
    """Return what an earlier attempt of the run has committed as its basis; None if nothing that can be used.

    Raises
    ------
    StorageError
        If the store can't be asked.
    """
    return _read(store, basis_uri(folder), BasisCommit, content)


def earlier_part(
    store: Store, folder: str, content: Content, index: int, *, shard: ShardRange | None, basis_digest: str
) -> PartCommit | None:
    """Return what an earlier attempt of the run has committed for a shard, of the same frames and the same basis.

    Parameters
    ----------
    store : Store
    folder : str
        URI of that attempt's folder.
    content : Content
    index : int
    shard : ShardRange or None
        None where every pod cuts alike (pose).
    basis_digest : str
        Empty for pose.

    Raises
    ------
    StorageError
        If the store can't be asked.
    """
    found = _read(store, part_uri(folder, index), PartCommit, content)
    if found is None or found.index != index or found.basis_digest != basis_digest:
        return None
    return found if shard is None or found.range == shard else None


def read_parts(
    store: Store, folder: str, identity: Identity, shards: Sequence[ShardRange | None], basis_digest: str = ""
) -> list[PartCommit] | None:
    """Return the valid commits of all shards of an attempt, in order; None if one is missing or they don't agree.

    Parameters
    ----------
    store : Store
    folder : str
        URI of the attempt folder.
    identity : Identity
    shards : sequence of (ShardRange or None)
        What every shard must be of; None where no basis says it.
    basis_digest : str
        Of their basis; empty for pose.

    Raises
    ------
    StorageError
        If the store can't be asked.
    """
    there = done_parts(store, folder)
    if not set(range(len(shards))) <= there:
        return None
    parts = []
    for index, shard in enumerate(shards):
        part = read_part(store, folder, identity, index, shard=shard, basis_digest=basis_digest)
        if part is None:
            return None
        parts.append(part)
    wrong = disagreement(parts)
    if wrong:
        _log.warning("The shards of %s don't fit: %s", folder, wrong)
        return None
    return parts


def disagreement(parts: Sequence[PartCommit]) -> str:
    """Return why parts don't make up a recording, empty if they do: pure."""
    expected = 0
    for part in parts:
        if part.nframes != parts[0].nframes:
            return f"shard {part.index} counts {part.nframes} frames, shard {parts[0].index} {parts[0].nframes}"
        if part.range.start != expected:
            return f"shard {part.index} begins at frame {part.range.start}, not {expected}"
        expected = part.range.stop
    if parts and expected != parts[0].nframes:
        return f"they end at frame {expected} of {parts[0].nframes}"
    return ""


def done_parts(store: Store, folder: str) -> set[int]:
    """Return the shards of which a commit lies in an attempt folder, valid or not: one listing.

    Raises
    ------
    StorageError
        If the store can't be asked.
    """
    heads = (info.uri.removeprefix(f"{folder}/") for info in store.list(folder))
    return {index for name in heads if (index := part_index(name)) is not None}


def inside(nonce: str, files: Sequence[ManifestFile]) -> str:
    """Return the first path that is neither in a pod's own folder nor a whole URI, empty if there is none: pure."""
    for file in files:
        if "://" not in file.path and (not file.path.startswith(f"{nonce}/") or ".." in file.path.split("/")):
            return file.path
    return ""


def _commit(store: Store, folder: str, name: str, commit: BasisCommit | PartCommit) -> None:
    data = commit.model_dump_json(indent=1).encode()
    store.put_bytes(join(folder, f"{commit.nonce}/{name}"), data)
    store.put_bytes(f"{folder}/{name}", data)


def _read(store: Store, uri: str, kind: type[_Commit], identity: Identity | Content) -> _Commit | None:
    limit = _MAX_BYTES + 1
    try:
        data = store.get_bytes(uri, max_bytes=limit, byte_range=(0, limit))
    except ObjectMissingError:
        return None
    if len(data) > _MAX_BYTES:
        _log.warning("%s is no commit and is ignored: it has more than %d bytes", uri, _MAX_BYTES)
        return None
    try:
        commit = parse_document(kind, data)
    except DocumentError as error:
        _log.warning("%s is no commit and is ignored: %s", uri, error)
        return None
    for name, value in identity:
        if getattr(commit, name) != value:
            _log.warning("%s is ignored: its %s is %s, not %s", uri, name, shown(getattr(commit, name)), value)
            return None
    outside = inside(commit.nonce, commit.files)
    if outside:
        _log.warning(
            "%s is ignored: its file '%s' lies outside its folder '%s'", uri, shown(outside), shown(commit.nonce)
        )
        return None
    return commit
