"""Commits of stages, as a worker would write them."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from fmdj_cloud.contracts import BasisCommit, ManifestFile, PartCommit, ShardRange, ViewFrames
from fmdj_cloud.contracts.shards import cut, filled
from fmdj_cloud.storage.stages import Identity

WHEN = dt.datetime(2026, 1, 31, 12)
VIEW = ViewFrames(height=2, width=2, fps=30.0, frames=(100,), header_frames=(100,))
IDENTITY = Identity(run_id="svd-0123456789abcdef", attempt=1, spec_sha256="5" * 64, content_digest="c" * 64)


def a_file(path: str, data: bytes, role: str) -> ManifestFile:
    """Return the record of a file."""
    return ManifestFile(path=path, role=role, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def a_basis(identity: Identity = IDENTITY, *, nonce: str = "b", data: bytes = b"basis", **changes: Any) -> BasisCommit:
    """Return the commit of a basis of 100 frames in two shards."""
    fields: dict[str, Any] = {
        **identity.model_dump(),
        "nonce": nonce,
        "files": (a_file(f"{nonce}/basis.npz", data, "basis"),),
        "nframes": 100,
        "block": 10,
        "shards": filled(cut(100, 2, block=10)),
        "views": (VIEW,),
        "started": WHEN,
        "finished": WHEN,
    }
    return BasisCommit(**fields | changes)


def a_part(
    index: int, shard: ShardRange, identity: Identity = IDENTITY, *, nonce: str = "", data: bytes = b"", **changes: Any
) -> PartCommit:
    """Return the commit of a shard of 100 frames."""
    nonce = nonce or f"p{index}"
    fields: dict[str, Any] = {
        **identity.model_dump(),
        "nonce": nonce,
        "index": index,
        "range": shard,
        "nframes": 100,
        "files": (a_file(f"{nonce}/part.npz", data, "part"),),
        "started": WHEN,
        "finished": WHEN,
    }
    return PartCommit(**fields | changes)
