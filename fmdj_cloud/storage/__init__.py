"""Object stores behind one interface."""

from __future__ import annotations

from fmdj_cloud.settings import StorageSettings
from fmdj_cloud.storage.base import ObjectInfo, OnBytes, Store
from fmdj_cloud.storage.file import FileStore
from fmdj_cloud.storage.s3 import S3Store
from fmdj_cloud.storage.schemes import SchemeStore

__all__ = ["ObjectInfo", "OnBytes", "Store", "open_store"]


def open_store(settings: StorageSettings) -> Store:
    """Return a store for every URI that the settings can reach, by scheme.

    Raises
    ------
    ConfigError
        If a store's settings contradict each other.
    """
    return SchemeStore({"s3": S3Store(settings.s3), "file": FileStore(settings.file)})
