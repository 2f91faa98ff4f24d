"""Labs declared by a real DataJoint 0.14 client, each with schemas of its own; what they had is what they have."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.settings import DatabaseSettings
from tests.conftest import DATABASES
from tests.support.datajoint014.client import Client, client
from tests.support.datajoint014.environment import Unavailable
from tests.support.datajoint014.lab import NEW, OldLab

_numbers = itertools.count(1)


@pytest.fixture(scope="session", params=[name for name in DATABASES if name != "postgres"])
def mysql_server(request: pytest.FixtureRequest) -> DatabaseSettings:
    """Every kind of server at hand that DataJoint 0.14 knows."""
    settings: DatabaseSettings = request.getfixturevalue(f"{request.param}_settings")
    return settings


@pytest.fixture(scope="session")
def old_client(mysql_server: DatabaseSettings) -> Iterator[Client]:
    """A DataJoint 0.14 client of that server."""
    try:
        with client(mysql_server) as made:
            yield made
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def make_old_lab(mysql_server: DatabaseSettings, old_client: Client, tmp_path: Path) -> Iterator[Callable[..., OldLab]]:
    """Have a lab declared; in the end no table has come into its schemas, or gone from them."""
    made: list[OldLab] = []

    def make(session: str = "subject : varchar(16)", shape: str = NEW, **changes: Any) -> OldLab:
        prefix = f"{mysql_server.prefix}old{next(_numbers)}_"
        server = mysql_server.model_copy(update={"prefix": prefix} | changes)
        made.append(OldLab(old_client, server, session, tmp_path, shape))
        return made[-1]

    yield make
    for lab in made:
        after = lab.lab_tables()
        lab.database.close()
        assert after == lab.before
