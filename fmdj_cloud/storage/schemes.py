"""One store for URIs of several schemes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.storage.base import ObjectInfo, OnBytes, Store
from fmdj_cloud.storage.uri import scheme


class SchemeStore:
    """Hands every call to the store of the URI's scheme; see :class:`fmdj_cloud.storage.base.Store`.

    Parameters
    ----------
    stores : mapping of str to Store
        By scheme.
    """

    def __init__(self, stores: Mapping[str, Store]) -> None:
        self._stores = dict(stores)

    def head(self, uri: str, *, version_id: str | None = None) -> ObjectInfo:
        """Describe an object."""
        return self._of(uri).head(uri, version_id=version_id)

    def list(self, prefix_uri: str) -> Iterator[ObjectInfo]:
        """Describe everything below a folder."""
        return self._of(prefix_uri).list(prefix_uri)

    def get_bytes(
        self, uri: str, *, max_bytes: int, if_match: str | None = None, byte_range: tuple[int, int] | None = None
    ) -> bytes:
        """Read a small object, or a piece of one, into memory."""
        return self._of(uri).get_bytes(uri, max_bytes=max_bytes, if_match=if_match, byte_range=byte_range)

    def put_bytes(self, uri: str, data: bytes) -> ObjectInfo:
        """Write a small object."""
        return self._of(uri).put_bytes(uri, data)

    def download(
        self,
        uri: str,
        path: Path,
        *,
        size: int | None = None,
        etag: str | None = None,
        version_id: str | None = None,
        sha256: str | None = None,
        progress: OnBytes | None = None,
    ) -> None:
        """Copy an object to a local file and verify it."""
        self._of(uri).download(uri, path, size=size, etag=etag, version_id=version_id, sha256=sha256, progress=progress)

    def upload(self, path: Path, uri: str, *, progress: OnBytes | None = None) -> ObjectInfo:
        """Copy a local file to the store."""
        return self._of(uri).upload(path, uri, progress=progress)

    def delete(self, uri: str, *, below: str | None = None) -> None:
        """Delete an object."""
        self._of(uri).delete(uri, below=below)

    def unfinished(self, prefix_uri: str) -> Iterator[ObjectInfo]:
        """Describe uploads below a folder that haven't ended."""
        return self._of(prefix_uri).unfinished(prefix_uri)

    def discard_unfinished(self, prefix_uri: str, *, before: dt.datetime | None = None) -> int:
        """Discard what uploads that were cut off have left below a folder."""
        return self._of(prefix_uri).discard_unfinished(prefix_uri, before=before)

    def _of(self, uri: str) -> Store:
        store = self._stores.get(scheme(uri))
        if store is None:
            known = ", ".join(f"{name}://" for name in self._stores)
            raise ConfigError(f"There is no store for {uri}: its scheme must be one of {known}.")
        return store
