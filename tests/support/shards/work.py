"""What the workers of the stages do, without computing: the contract of :mod:`fmdj_cloud.contracts.shards`, in small.

A recording has 100 frames, in blocks of 10. What a shard computes is a text that says its frames and its basis.
"""

from __future__ import annotations

import hashlib

from fmdj_cloud.contracts import BasisCommit, Kind, ManifestFile, PartCommit, RunSpec, ShardRange
from fmdj_cloud.contracts.shards import cut, filled
from fmdj_cloud.errors import StorageError
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.manifests import file_uri
from fmdj_cloud.storage.stages import (
    Identity,
    basis_uri,
    commit_basis,
    commit_part,
    part_uri,
    read_basis,
    read_part,
    read_parts,
)
from tests.support.shards.commits import a_basis, a_file, a_part

FRAMES, BLOCK = 100, 10
_MOST = 1 << 20


class Work:
    """One pod's work.

    Parameters
    ----------
    store : Store
    spec : RunSpec
    sha256 : str
        Of the spec.
    nonce : str
    """

    def __init__(self, store: Store, spec: RunSpec, sha256: str, nonce: str) -> None:
        self._store = store
        self._spec = spec
        self._folder = spec.attempt_uri
        self._nonce = nonce
        self._identity = Identity(
            run_id=spec.run_id, attempt=spec.attempt, spec_sha256=sha256, content_digest=spec.content_digest
        )

    def basis(self, shards: int | None = None) -> str:
        """Compute the basis, or take an earlier attempt's; return what was done: ``done``, ``reused``, ``found``."""
        if read_basis(self._store, self._folder, self._identity) is not None:
            return "found"
        old = next((one for one in map(self._old_basis, self._spec.resume_from) if one is not None), None)
        ranges = old.shards if old is not None else filled(cut(FRAMES, shards or self._spec.shards or 1, block=BLOCK))
        files, reused = self._files("basis", f"basis of {self._spec.content_digest}", old)
        made = a_basis(self._identity, nonce=self._nonce, files=files, shards=ranges, reused=reused)
        commit_basis(self._store, self._folder, made)
        return "reused" if reused else "done"

    def project(self, index: int) -> str:
        """Compute a shard, or take an earlier attempt's; return what was done."""
        shard, digest = self._shard(index)
        about = {"shard": shard, "basis_digest": digest}
        if read_part(self._store, self._folder, self._identity, index, **about) is not None:
            return "found"
        olds = (self._old_part(folder, index, shard, digest) for folder in self._spec.resume_from)
        old = next((one for one in olds if one is not None), None)
        files, reused = self._files("part", f"{digest}:{shard.start}:{shard.stop};", old)
        made = a_part(index, shard, self._identity, nonce=self._nonce, files=files, basis_digest=digest, reused=reused)
        commit_part(self._store, self._folder, made)
        return "reused" if reused else "done"

    def merge(self) -> str:
        """Join the parts.

        Raises
        ------
        StorageError
            If a commit or a file isn't there, or isn't what it should be.
        """
        basis = read_basis(self._store, self._folder, self._identity) if self._spec.kind is Kind.SVD else None
        shards = basis.shards if basis is not None else cut(FRAMES, self._spec.shards or 1, block=BLOCK)
        digest = basis.digest if basis is not None else ""
        parts = read_parts(self._store, self._folder, self._identity, shards, digest)
        if parts is None:
            raise StorageError("A shard isn't there.")
        return "".join(self._read(self._folder, file) for part in parts for file in part.files)

    def _shard(self, index: int) -> tuple[ShardRange, str]:
        if self._spec.kind is not Kind.SVD:
            return cut(FRAMES, self._spec.shards or 1, block=BLOCK)[index], ""
        basis = read_basis(self._store, self._folder, self._identity)
        if basis is None:
            raise StorageError("The basis isn't there.")
        for file in basis.files:
            self._read(self._folder, file)
        return basis.shards[index], basis.digest

    def _files(
        self, role: str, text: str, old: BasisCommit | PartCommit | None
    ) -> tuple[tuple[ManifestFile, ...], str]:
        if old is not None:
            folder = self._folder.replace(f"/a{self._spec.attempt}", f"/a{old.attempt}")
            whole = [file.model_copy(update={"path": file_uri(folder, file.path)}) for file in old.files]
            return tuple(whole), folder
        path = f"{self._nonce}/{role}.bin"
        self._store.put_bytes(f"{self._folder}/{path}", text.encode())
        return (a_file(path, text.encode(), role),), ""

    def _old_basis(self, folder: str) -> BasisCommit | None:
        old = self._old(basis_uri(folder), BasisCommit, folder)
        return old if isinstance(old, BasisCommit) else None

    def _old_part(self, folder: str, index: int, shard: ShardRange, digest: str) -> PartCommit | None:
        old = self._old(part_uri(folder, index), PartCommit, folder)
        fits = isinstance(old, PartCommit) and (old.range, old.basis_digest) == (shard, digest)
        return old if fits and isinstance(old, PartCommit) else None

    def _old(
        self, uri: str, kind: type[BasisCommit] | type[PartCommit], folder: str
    ) -> BasisCommit | PartCommit | None:
        try:
            found = kind.model_validate_json(self._store.get_bytes(uri, max_bytes=_MOST))
            for file in found.files:
                self._read(folder, file)
        except (StorageError, ValueError):
            return None
        return found if found.content_digest == self._spec.content_digest else None

    def _read(self, folder: str, file: ManifestFile) -> str:
        data = self._store.get_bytes(file_uri(folder, file.path), max_bytes=_MOST)
        if (len(data), hashlib.sha256(data).hexdigest()) != (file.size, file.sha256):
            raise StorageError(f"{file.path} isn't what was committed.")
        return data.decode()
