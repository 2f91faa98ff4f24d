"""Fixtures of the tests that kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fmdj_cloud.settings import DatabaseSettings, S3Settings
from tests.support.kills.world import World, kill_world


@pytest.fixture
def plain_kills(
    database_settings: DatabaseSettings, s3_settings: S3Settings, bucket: str, tmp_path: Path
) -> Iterator[World]:
    """A lab whose programs may be killed."""
    with kill_world(database_settings, s3_settings, bucket, tmp_path) as world:
        yield world
