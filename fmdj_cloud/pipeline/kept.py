"""Blobs that a table keeps in an object store: DataJoint 2's ``<blob@store>`` columns.

The column holds where the blob lies, as JSON; the blob lies under its own digest (DataJoint's ``hash_registry``), so
that writing it again changes nothing, and what no row refers to any more is for DataJoint's own garbage collection.
Bytes go through our own storage, with its credentials: nobody has to configure DataJoint's stores for our programs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from datajoint.builtin_codecs import BlobCodec
from datajoint.hash_registry import build_hash_path, compute_hash

from fmdj_cloud.errors import ConfigError, InputError, StorageError
from fmdj_cloud.storage import Store, uri

_PREFIX = "_hash"
"""DataJoint's default; readers go by the path in the column."""
_DEFAULT = "default"


def store_of(attribute: Any) -> str | None:
    """Return the name of the object store in which a column's blobs are, empty for the default one.

    Parameters
    ----------
    attribute : datajoint.heading.Attribute

    Returns
    -------
    str or None
        None where they are in the table itself.
    """
    store: str | None = attribute.store if type(attribute.codec) is BlobCodec else None
    return store


class KeptBlobs:
    """The object stores of one pipeline.

    Parameters
    ----------
    roots : mapping of str to str
        Name of a store, as DataJoint knows it -> URI of its location.
    objects : Store or None
        None for programs that neither read nor write results.
    """

    def __init__(self, roots: Mapping[str, str], objects: Store | None) -> None:
        self._roots = roots
        self._objects = objects
        self._there: set[str] = set()

    def begin(self) -> None:
        """Forget what was put: from now on, what is put again isn't sent again."""
        self._there = set()

    @staticmethod
    def keeps(table: Any) -> bool:
        """Tell whether a table keeps anything in an object store."""
        return any(store_of(attribute) is not None for attribute in table.heading.attributes.values())

    def require(self, table: Any) -> None:
        """Check that the stores of a table's columns are known.

        Parameters
        ----------
        table : datajoint table

        Raises
        ------
        ConfigError
            If the settings don't name one.
        """
        for attribute in table.heading.attributes.values():
            store = store_of(attribute)
            if store is not None:
                self._root(store, f"The column {attribute.name} of {table.full_table_name}")

    def put(self, schema: str, store: str, data: bytes) -> str:
        """Keep a blob, and return what its column holds.

        Parameters
        ----------
        schema : str
            Of the table.
        store : str
        data : bytes

        Raises
        ------
        StorageError
            If the store doesn't take it.
        """
        digest = compute_hash(data)
        path = build_hash_path(digest, schema, hash_prefix=_PREFIX)
        where = self._uri(store, path)
        if where not in self._there:
            self._reachable().put_bytes(where, data)
            self._there.add(where)
        return json.dumps({"hash": digest, "path": path, "schema": schema, "store": store or None, "size": len(data)})

    def get(self, held: Any) -> bytes:
        """Return the blob that a column refers to.

        Parameters
        ----------
        held : str or dict
            What the column holds.

        Raises
        ------
        InputError
            If the blob isn't the one that was kept.
        StorageError
            If it can't be read.
        """
        told = json.loads(held) if isinstance(held, str | bytes) else held
        where = self._uri(told.get("store") or "", str(told["path"]))
        data = self._reachable().get_bytes(where, max_bytes=int(told["size"]))
        if compute_hash(data) != told["hash"]:
            raise InputError(f"{where} isn't what was stored there: its digest differs.", check="rows")
        return data

    def _uri(self, store: str, path: str) -> str:
        return uri.join(self._root(store, path), path)

    def _root(self, store: str, what: str) -> str:
        name = store or _DEFAULT
        if name not in self._roots:
            raise ConfigError(
                f"{what} is kept in the DataJoint store {name!r}: add its location to the pipeline's stores in the "
                "settings."
            )
        return self._roots[name]

    def _reachable(self) -> Store:
        if self._objects is None:
            raise StorageError("This program wasn't given an object store, and a column refers to one.")
        return self._objects
