"""The lab whose programs are killed; they are forked here, and started one by one in tests/long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.kills.fixtures import plain_kills
from tests.support.kills.world import World
from tests.support.kills.zygote import Zygote, running_zygote

__all__ = ["plain_kills"]


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    with running_zygote() as found:
        yield found


@pytest.fixture
def kills(plain_kills: World, zygote: Zygote) -> World:
    """A lab whose programs may be killed."""
    plain_kills.zygote = zygote
    return plain_kills
