"""A lab whose programs reach the database and the object store through proxies."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fmdj_cloud.control.choose import select_tasks
from fmdj_cloud.control.ordering import Ordering
from fmdj_cloud.settings import DatabaseSettings, S3Settings
from tests.support.kills import oracle
from tests.support.kills.world import World
from tests.support.weather.proxy import Proxy, proxied, s3_answer
from tests.support.weather.schedule import Target

_POSTGRES_SOCKET = ".s.PGSQL.5432"


@dataclasses.dataclass
class StormyLab(World):
    """The lab; what the test itself asks of the servers doesn't go through the proxies."""

    to_database: Proxy = None  # type: ignore[assignment]
    to_store: Proxy = None  # type: ignore[assignment]
    through: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    """Settings of the programs that lead through the proxies: of the section ``database``, and of ``s3``."""
    sections: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    """Settings by section, for programs that are started from now on."""

    def _config(self, controller: dict[str, Any]) -> dict[str, Any]:
        config = super()._config(controller)
        config["database"] |= self.through["database"]
        config["storage"]["s3"] |= self.through["s3"]
        for section, settings in self.sections.items():
            config[section] |= settings
        return config

    @property
    def ways(self) -> dict[Target, Proxy]:
        """The proxies by what they lead to."""
        return {Target.DATABASE: self.to_database, Target.STORE: self.to_store}

    def check_clean(self) -> None:
        """Stop all programs, and see that nothing is left but results."""
        oracle.check_clean(self)

    def retry(self, key: dict[str, Any]) -> None:
        """Ask for a task to be tried again, as a person does."""
        (choice,) = select_tasks([self.lab], self.ledger, key)
        Ordering(self.ledger, "person@lab").retry(choice)

    def outcomes(self, key: dict[str, Any]) -> list[str]:
        """Return how the attempts of a task ended, oldest first; empty for one under way."""
        run = self.run_of(key)
        return [] if run is None else [attempt.outcome or "" for attempt in self.ledger.attempts(run.run_id)]


@contextlib.contextmanager
def stormy(world: World) -> Iterator[StormyLab]:
    """Put proxies before a lab's servers, for the time of the context."""
    with ways(world.settings.database, world.settings.storage.s3) as (to_database, to_store, through):
        fields = {field.name: getattr(world, field.name) for field in dataclasses.fields(World)}
        yield StormyLab(**fields, to_database=to_database, to_store=to_store, through=through)
        world.end()


@contextlib.contextmanager
def ways(database: DatabaseSettings, s3: S3Settings) -> Iterator[tuple[Proxy, Proxy, dict[str, dict[str, Any]]]]:
    """Run proxies before a database and an object store.

    Yields
    ------
    to_database, to_store : Proxy
    through : dict
        Settings that lead through them: of the section ``database``, and of ``s3``.
    """
    endpoint = urlsplit(s3.endpoint_url or "")
    assert endpoint.hostname is not None
    assert endpoint.port is not None
    with contextlib.ExitStack() as stack:
        to_database, leading = stack.enter_context(_way_to(database))
        to_store, port = stack.enter_context(proxied((endpoint.hostname, endpoint.port), s3_answer))
        url = f"http://127.0.0.1:{port}"
        patience = {"connect_timeout_s": 2, "read_timeout_s": 4}
        yield to_database, to_store, {"database": leading, "s3": {"endpoint_url": url, **patience}}


@contextlib.contextmanager
def _way_to(settings: DatabaseSettings) -> Iterator[tuple[Proxy, dict[str, Any]]]:
    if settings.backend != "postgresql":
        assert settings.host is not None
        assert settings.port is not None
        with proxied((settings.host, settings.port)) as (proxy, port):
            yield proxy, {"port": port}
        return
    with tempfile.TemporaryDirectory(prefix="fmdj-way-") as folder:
        listen = Path(folder, _POSTGRES_SOCKET)
        with proxied(Path(settings.host or "", _POSTGRES_SOCKET), listen=listen) as (proxy, _):
            yield proxy, {"host": folder}
