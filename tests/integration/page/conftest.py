"""The status page over a lab with runs in every state, on PostgreSQL and on MariaDB."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator

import pytest

from fmdj_cloud.contracts import RunRecord
from fmdj_cloud.settings import DatabaseSettings, S3Settings
from fmdj_cloud.storage.client import make_client
from tests.support.kills.world import World, kill_world
from tests.support.page.site import Site, one_of_each, served


@pytest.fixture(scope="session")
def shared_site(
    database_server: DatabaseSettings,
    s3_settings: S3Settings,
    tmp_path_factory: pytest.TempPathFactory,
    once_per_server: Callable[..., tuple[Site, dict[str, RunRecord]]],
) -> tuple[Site, dict[str, RunRecord]]:
    """A lab with a run in every state; declared once for each kind of database."""
    database = database_server.model_copy(update={"prefix": f"{database_server.prefix}page_"})

    @contextlib.contextmanager
    def make() -> Iterator[tuple[Site, dict[str, RunRecord]]]:
        bucket = f"page-{uuid.uuid4().hex}"
        client = make_client(s3_settings)
        client.create_bucket(Bucket=bucket)
        client.close()
        with kill_world(database, s3_settings, f"s3://{bucket}", tmp_path_factory.mktemp("page")) as world:
            site = Site(world)
            yield site, one_of_each(site)

    return once_per_server("page", database, make)


@pytest.fixture
def site(shared_site: tuple[Site, dict[str, RunRecord]]) -> Site:
    return shared_site[0]


@pytest.fixture
def runs(shared_site: tuple[Site, dict[str, RunRecord]]) -> dict[str, RunRecord]:
    """The runs by what became of them."""
    return shared_site[1]


@pytest.fixture
def world(site: Site) -> World:
    return site.world


@pytest.fixture(scope="module")
def page_address(
    shared_site: tuple[Site, dict[str, RunRecord]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where the page of the shared lab is."""
    with served(shared_site[0].world, tmp_path_factory.mktemp("served")) as address:
        yield address


@pytest.fixture(scope="module")
def other_address(
    shared_site: tuple[Site, dict[str, RunRecord]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where its page is with other settings: two runs a page, two listeners, and prices."""
    settings = {"rows": 2, "clients_max": 2, "price_core_h": 1000.0, "price_gib_h": 100.0, "currency": "EUR"}
    with served(shared_site[0].world, tmp_path_factory.mktemp("other"), **settings) as address:
        yield address


@pytest.fixture(scope="module")
def browser_site(
    postgres_settings: DatabaseSettings, s3_settings: S3Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, dict[str, RunRecord], str]]:
    """A lab that tests in the browser change, its runs, and where its page is."""
    database = postgres_settings.model_copy(update={"prefix": f"browser{uuid.uuid4().hex[:6]}_"})
    bucket = f"browser-{uuid.uuid4().hex}"
    client = make_client(s3_settings)
    client.create_bucket(Bucket=bucket)
    client.close()
    folder = tmp_path_factory.mktemp("browser")
    with kill_world(database, s3_settings, f"s3://{bucket}", folder) as world:
        site = Site(world)
        runs = one_of_each(site)
        with served(world, folder) as address:
            yield site, runs, address
