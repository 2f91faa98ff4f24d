"""Whether the stage that an attempt has come to is done, by what lies in the object store."""

from __future__ import annotations

from collections.abc import Sequence

from fmdj_cloud.contracts import AttemptRecord, Kind, RunRecord, ShardRange, Stage
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.stages import Identity, read_basis, read_parts


def identity_of(run: RunRecord, attempt: AttemptRecord) -> Identity:
    """Return what commits of an attempt must say of themselves."""
    return Identity(
        run_id=run.run_id,
        attempt=attempt.attempt,
        spec_sha256=attempt.spec_sha256,
        content_digest=run.content_digest,
    )


def shards_after(store: Store, run: RunRecord, attempt: AttemptRecord) -> int | None:
    """Return how many pods the next stage of an attempt takes, if this one's commit is there.

    Parameters
    ----------
    store : Store
    run : RunRecord
    attempt : AttemptRecord

    Returns
    -------
    int or None
        None if this stage isn't done, or is the last.

    Raises
    ------
    StorageError
        If the store can't be asked.
    """
    if attempt.stage not in (Stage.BASIS, Stage.PROJECT):
        return None
    identity = identity_of(run, attempt)
    basis = read_basis(store, attempt.folder, identity) if run.kind is Kind.SVD else None
    if attempt.stage is Stage.BASIS:
        return len(basis.shards) if basis is not None else None
    if run.kind is Kind.SVD and basis is None:
        return None
    shards: Sequence[ShardRange | None] = basis.shards if basis is not None else (None,) * attempt.shards
    parts = read_parts(store, attempt.folder, identity, shards, basis.digest if basis is not None else "")
    return 1 if parts is not None else None
