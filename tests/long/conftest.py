"""The lab whose programs are killed."""

from __future__ import annotations

import pytest

from tests.support.kills.fixtures import plain_kills
from tests.support.kills.world import World

__all__ = ["plain_kills"]


@pytest.fixture
def kills(plain_kills: World) -> World:
    """A lab whose programs may be killed, each started as it would be."""
    return plain_kills
