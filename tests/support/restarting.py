"""Database servers that crash and come back, with their data."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pymysql

from fmdj_cloud.demo.servers import embedded_postgres, mariadb
from fmdj_cloud.demo.servers.guarded import make_home, unprivileged_user
from fmdj_cloud.settings import DatabaseSettings

_START_S = 60.0
_PASSWORD = "only here"


class RestartablePostgres:
    """A server that restarts by itself when one of its sessions is shot, as PostgreSQL does."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        with contextlib.closing(self._connected()) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("ALTER DATABASE postgres SET synchronous_commit = on")  # it outlives the crash

    def restart(self) -> None:
        """Crash, and wait until it answers again: every session is gone."""
        with contextlib.closing(self._connected()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            os.kill(cursor.fetchone()[0], signal.SIGKILL)
            _await(lambda: cursor.execute("SELECT 1"), psycopg2.Error, fails=True)
        _await(lambda: self._connected().close(), psycopg2.Error)

    def _connected(self) -> psycopg2.extensions.connection:
        given = self.settings
        return psycopg2.connect(host=given.host, user=given.user, dbname=given.name)


class RestartableMariadb:
    """A server of the test's own."""

    def __init__(self, home: Path, user: pwd.struct_passwd | None, log: Path) -> None:
        self._user = user
        self._log = log
        installer, server = mariadb._program("mariadb-install-db"), mariadb._program("mariadbd")
        mariadb._init_data(home, installer, user, _PASSWORD, log)
        port = mariadb._free_port()
        self._command = [server, "--no-defaults", f"--datadir={home / 'data'}", f"--socket={home / 'socket'}"]
        self._command += [f"--port={port}", f"--init-file={home / 'init.sql'}", f"--pid-file={home / 'pid'}"]
        # What is committed outlives the crash of the server, if not that of the machine
        self._command += [f"--tmpdir={home}", *mariadb._OPTIONS, "--innodb-flush-log-at-trx-commit=2"]
        self.settings = DatabaseSettings(
            backend="mysql", host="127.0.0.1", port=port, user=mariadb._USER, password=_PASSWORD, use_tls=False
        )
        self._start()
        (home / "init.sql").write_text("")  # what it says is done

    def restart(self) -> None:
        """Crash, start again, and wait until it answers."""
        self.stop()
        self._start()

    def stop(self) -> None:
        """Shoot it."""
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        user = self._user
        with self._log.open("ab") as sink:
            self._process = subprocess.Popen(
                self._command,
                stdout=sink,
                stderr=sink,
                stdin=subprocess.DEVNULL,
                cwd="/",
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            )
        given = self.settings
        where = {"host": given.host, "port": given.port, "user": given.user, "password": _PASSWORD}
        _await(lambda: pymysql.connect(**where).close(), (pymysql.Error, OSError))


def _await(ask: object, errors: type[Exception] | tuple[type[Exception], ...], *, fails: bool = False) -> None:
    """Ask until it works, or until it fails."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        try:
            ask()
        except errors:
            if fails:
                return
        else:
            if not fails:
                return
        time.sleep(0.02)
    raise AssertionError("the server doesn't come back")


@contextlib.contextmanager
def restartable(name: str, folder: Path) -> Iterator[RestartablePostgres | RestartableMariadb]:
    """Run a server for the time of the context."""
    if name == "postgres":
        with embedded_postgres(folder) as settings:
            yield RestartablePostgres(settings)
        return
    user = unprivileged_user("MariaDB")
    home = make_home("fmdj-my-", "socket", user)
    try:
        server = RestartableMariadb(home, user, folder / "mariadb.log")
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)
