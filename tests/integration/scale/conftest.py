"""A lab with a hundred thousand tasks, on each database."""

from __future__ import annotations

import pytest

from fmdj_cloud.settings import DatabaseSettings
from tests.support.crowd import Crowd, crowd


@pytest.fixture
def many(database_server: DatabaseSettings, once_per_server) -> Crowd:
    """The lab on this server, made once; tests leave it as it is."""
    return once_per_server(
        "crowd", database_server, lambda: crowd(database_server, tasks=100_000, pending=10_000, failed=500)
    )
