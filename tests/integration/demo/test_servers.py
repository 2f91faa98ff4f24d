"""The embedded servers serve, side by side, and nothing of them is left over."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg2
import pymysql
import pytest

from fmdj_cloud.demo.servers import embedded_mariadb, embedded_postgres, embedded_s3
from fmdj_cloud.demo.servers import mariadb as module
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import DatabaseSettings, StorageSettings
from fmdj_cloud.storage import open_store

pytestmark = pytest.mark.integration


def ask(settings: DatabaseSettings, sql: str) -> object:
    connection = psycopg2.connect(host=settings.host, user=settings.user, dbname=settings.name)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()
    finally:
        connection.close()


def processes_naming(text: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in command:
            found.append(command)
    return found


def test_two_postgresql_servers_run_side_by_side_and_go(tmp_path: Path) -> None:
    with embedded_postgres(tmp_path) as one, embedded_postgres(tmp_path) as other:
        assert one.host != other.host
        assert ask(one, "show server_version_num") == ask(other, "show server_version_num")
        assert ask(one, "show listen_addresses") == ("",)
        ask_table = "select count(*) from pg_tables where tablename = 'only_here'"
        connection = psycopg2.connect(host=one.host, user=one.user, dbname=one.name)
        with connection, connection.cursor() as cursor:
            cursor.execute("create table only_here (x int)")
        connection.close()
        assert (ask(one, ask_table), ask(other, ask_table)) == ((1,), (0,))

    for settings in (one, other):
        assert settings.host is not None
        assert not Path(settings.host).exists()
        assert processes_naming(settings.host) == []


def test_a_connection_that_is_still_open_does_not_keep_the_server_up(tmp_path: Path) -> None:
    with embedded_postgres(tmp_path) as settings:
        connection = psycopg2.connect(host=settings.host, user=settings.user, dbname=settings.name)
        began = time.monotonic()

    assert time.monotonic() - began < 4
    connection.close()


def test_the_s3_server_goes_with_its_context(tmp_path: Path) -> None:
    with embedded_s3(tmp_path, "lab") as settings:
        store = open_store(StorageSettings(s3=settings))
        assert store.put_bytes("s3://lab/x", b"x").size == 1

    assert settings.endpoint_url is not None
    with pytest.raises(psycopg2.OperationalError):  # nobody listens there any more
        psycopg2.connect(host="127.0.0.1", port=int(settings.endpoint_url.rsplit(":", 1)[1]), dbname="x")


def test_an_error_of_the_caller_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), embedded_postgres(tmp_path):
        (tmp_path / "nothing").read_bytes()


def test_a_bucket_that_cannot_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'x'"), embedded_s3(tmp_path, "x"):
        pass


@pytest.fixture
def _mariadb(mariadb_settings: DatabaseSettings) -> None:
    """Skips the test where MariaDB isn't installed."""


def mariadb(settings: DatabaseSettings, **changes: Any) -> pymysql.Connection[Any]:
    assert settings.password is not None
    login: dict[str, Any] = {"user": settings.user, "password": settings.password.get_secret_value()} | changes
    return pymysql.connect(host=settings.host, port=settings.port or 0, **login)


@pytest.mark.usefixtures("_mariadb")
def test_two_mariadb_servers_run_side_by_side_and_go(tmp_path: Path) -> None:
    with embedded_mariadb(tmp_path) as one, embedded_mariadb(tmp_path) as other:
        with mariadb(one) as connection, connection.cursor() as cursor:
            cursor.execute("create database only_here")
            cursor.execute("select @@datadir, @@character_set_server, @@bind_address")
            data, characters, address = cursor.fetchone() or ("", "", "")
        assert (characters, address) == ("utf8mb4", "127.0.0.1")
        with mariadb(other) as connection, connection.cursor() as cursor:
            assert cursor.execute("show databases like 'only_here'") == 0
        assert Path(data).parent.stat().st_uid != 0
        assert Path(data).parent.stat().st_mode & 0o077 == 0

    assert not Path(data).parent.exists()
    assert processes_naming(data.rstrip("/")) == []


@pytest.mark.usefixtures("_mariadb")
def test_mariadb_lets_nobody_in_without_the_password(tmp_path: Path) -> None:
    with embedded_mariadb(tmp_path) as settings:
        for login in ({"user": "root", "password": ""}, {"user": "", "password": ""}, {"password": ""}):
            with pytest.raises(pymysql.OperationalError, match=r"Access denied|not allowed"):
                mariadb(settings, **login)


@pytest.mark.usefixtures("_mariadb")
def test_mariadb_finds_another_port_when_its_own_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with embedded_mariadb(tmp_path) as first:
        free = iter([first.port, *(module._free_port() for _ in range(4))])
        monkeypatch.setattr(module, "_free_port", lambda: next(free))

        with embedded_mariadb(tmp_path) as second:
            assert second.port != first.port
            mariadb(second).close()


def test_without_mariadb_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "_PLACES", ())

    with pytest.raises(ConfigError, match="mariadb-client-core"), embedded_mariadb(tmp_path):
        pass


STARTER = """
import sys, time, pathlib
from fmdj_cloud.demo import servers
work = pathlib.Path(sys.argv[1])
embedded = getattr(servers, sys.argv[2])
with embedded(work) as database, servers.embedded_s3(work, "lab") as s3:
    print(database.host, database.port, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("postgres", signal.SIGKILL),
        ("postgres", signal.SIGTERM),
        ("postgres", signal.SIGINT),
        ("mariadb", signal.SIGKILL),
    ],
)
def test_nothing_is_left_over_when_the_process_is_killed(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str, number: signal.Signals
) -> None:
    if kind == "mariadb":
        request.getfixturevalue("_mariadb")
    command = [sys.executable, "-c", STARTER, str(tmp_path), f"embedded_{kind}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    host, port = process.stdout.readline().split()
    data = host if kind == "postgres" else f"--port={port}"
    assert processes_naming(data)
    servers = children_of(process.pid)
    assert len(servers) == 2

    process.send_signal(number)
    process.wait()
    process.stdout.close()

    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and (processes_naming(data) or any(alive(pid) for pid in servers)):
        time.sleep(0.05)
    assert processes_naming(data) == []
    assert not any(alive(pid) for pid in servers)
    assert not Path(data).exists()


@pytest.mark.parametrize("area", ["private", "long" * 25])
def test_a_temporary_area_that_cannot_hold_a_socket_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, area: str
) -> None:
    (tmp_path / area).mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / area))

    with embedded_postgres(tmp_path) as settings:
        assert ask(settings, "select 1") == (1,)


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_no_folder_is_opened_for_the_server(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with embedded_postgres(tmp_path) as settings:
        assert settings.host is not None
        assert Path(settings.host).stat().st_uid != 0
        assert Path(settings.host).stat().st_mode & 0o077 == 0
    assert tmp_path.stat().st_mode & 0o777 == 0o700
