"""Fixtures for all tests: real servers, started once per test process, and the rule that CI skips nothing."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.slices import parse_slice, piece

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from fmdj_cloud.settings import DatabaseSettings, S3Settings
    from fmdj_cloud.storage import Store

KINDS = ("unit", "integration", "cluster", "long")
MYSQL_URL = "FMDJ_TEST_MYSQL_URL"
DATABASES = ("postgres", "mariadb", *(["mysql"] if os.environ.get(MYSQL_URL) else ()))
_prefixes = itertools.count(1)
T = TypeVar("T")
OncePerServer = Callable[[str, "DatabaseSettings", Callable[[], contextlib.AbstractContextManager[T]]], T]


def pytest_configure(config: pytest.Config) -> None:
    """No test is steered by settings that happen to be in the developer's environment."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell that starts the tests in the background has them, and all they start, ignore Ctrl-C
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in list(os.environ):
        if name.startswith(("FMDJ_", "DJ_", "AWS_")) and not name.startswith("FMDJ_TEST_"):
            del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    if not hasattr(config, "workerinput"):  # under pytest-xdist only the process that collects the reports judges
        config.pluginmanager.register(NoSkipsInCi(), "no-skips-in-ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--slice 2/5`` runs a fifth of the long tests."""
    parser.addoption("--slice", metavar="I/N", help="of the long tests, run the I-th of N pieces")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test without a marker is a unit test; cluster tests need a cluster; of long ones, a piece may be enough."""
    for item in items:
        if not any(item.get_closest_marker(kind) for kind in KINDS):
            item.add_marker("unit")
        if item.get_closest_marker("cluster") and not os.environ.get("KUBECONFIG"):
            item.add_marker(pytest.mark.skip(reason="KUBECONFIG names no cluster"))
    if config.getoption("slice"):
        _slice(config, items)


def _slice(config: pytest.Config, items: list[pytest.Item]) -> None:
    try:
        number, pieces = parse_slice(config.getoption("slice"))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    kept = {id(item) for item in piece([item for item in items if item.get_closest_marker("long")], number, pieces)}
    left_out = [item for item in items if item.get_closest_marker("long") and id(item) not in kept]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


class NoSkipsInCi:
    """With ``CI=true``, a skipped test fails the run, but for cluster tests and a MySQL server of one's own."""

    def __init__(self) -> None:
        self.skips: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail") and "cluster" not in report.keywords:
            self._note(report.nodeid, report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._note(report.nodeid, report.longrepr)

    def _note(self, nodeid: str, reason: object) -> None:
        text = str(reason[2]) if isinstance(reason, tuple) else str(reason)
        if MYSQL_URL not in text:
            self.skips.append(f"{nodeid}: {text}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        passing = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if self.skips and os.environ.get("CI") == "true" and session.exitstatus in passing:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.skips and os.environ.get("CI") == "true":
            terminalreporter.section("skipped, which CI doesn't allow", red=True)
            for skip in self.skips:
                terminalreporter.line(skip)


@pytest.fixture(scope="session")
def postgres_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseSettings]:
    """A PostgreSQL server of this test process."""
    from fmdj_cloud.demo.servers import embedded_postgres

    with embedded_postgres(tmp_path_factory.mktemp("postgresql")) as settings:
        yield settings


@pytest.fixture(scope="session")
def mariadb_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseSettings]:
    """A MariaDB server of this test process; see tests/install_mariadb.sh."""
    from fmdj_cloud.demo.servers import embedded_mariadb
    from fmdj_cloud.errors import ConfigError

    with contextlib.ExitStack() as stack:
        try:
            settings = stack.enter_context(embedded_mariadb(tmp_path_factory.mktemp("mariadb")))
        except ConfigError as error:
            if "isn't installed" not in error.sentence:
                raise
            pytest.skip(error.sentence)
        yield settings


@pytest.fixture(scope="session")
def mysql_settings() -> Iterator[DatabaseSettings]:
    """The server that FMDJ_TEST_MYSQL_URL names (mysql://user:password@host:port); our schemas go at the end."""
    from fmdj_cloud.settings import DatabaseSettings

    url = urlsplit(os.environ[MYSQL_URL])
    settings = DatabaseSettings(
        backend="mysql",
        host=url.hostname,
        port=url.port,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        prefix=f"fmdjtest{uuid.uuid4().hex[:8]}_",
    )
    yield settings
    from fmdj_cloud.pipeline.database import Database

    database = Database(settings)
    database.execute("SET FOREIGN_KEY_CHECKS = 0")  # whatever the order
    for (schema,) in database.query("SELECT schema_name FROM information_schema.schemata"):
        if schema.startswith(settings.prefix):
            database.execute(f"DROP DATABASE {database.identifier(schema)}")
    database.close()


@pytest.fixture(scope="session", params=DATABASES)
def database_server(request: pytest.FixtureRequest) -> DatabaseSettings:
    """Every kind of database server that is at hand, started when the first test needs it."""
    settings: DatabaseSettings = request.getfixturevalue(f"{request.param}_settings")
    return settings


@pytest.fixture(scope="session")
def once_per_server() -> Iterator[OncePerServer[Any]]:
    """Makes a thing once for every server; pytest alone makes it again whenever tests of several servers alternate."""
    made: dict[Any, Any] = {}
    with contextlib.ExitStack() as stack:

        def once(name: str, server: DatabaseSettings, make: Callable[[], Any]) -> Any:
            key = (name, server.host, server.port)
            if key not in made:
                made[key] = stack.enter_context(make())
            return made[key]

        yield once


@pytest.fixture(scope="session")
def s3_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Settings]:
    """An S3 server of this test process."""
    from fmdj_cloud.demo.servers import embedded_s3

    with embedded_s3(tmp_path_factory.mktemp("s3"), "session") as settings:
        yield settings


@pytest.fixture
def database_settings(database_server: DatabaseSettings) -> DatabaseSettings:
    """The server with a schema prefix of this test's own."""
    return database_server.model_copy(update={"prefix": f"{database_server.prefix}t{next(_prefixes)}_"})


@pytest.fixture(scope="session")
def _s3_client(s3_settings: S3Settings) -> Iterator[S3Client]:
    from fmdj_cloud.storage.client import make_client

    client = make_client(s3_settings)
    yield client
    client.close()


@pytest.fixture
def bucket(_s3_client: S3Client) -> str:
    """The URI of an empty bucket."""
    name = f"t-{uuid.uuid4().hex}"
    _s3_client.create_bucket(Bucket=name)
    return f"s3://{name}"


@pytest.fixture(scope="session")
def store(s3_settings: S3Settings) -> Store:
    """The store that holds every `bucket`; it keeps nothing between calls, so one serves all tests."""
    from fmdj_cloud.settings import StorageSettings
    from fmdj_cloud.storage import open_store

    return open_store(StorageSettings(s3=s3_settings))
