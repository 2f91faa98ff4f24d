"""A private MariaDB, which stands in for MySQL too."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
from pydantic import SecretStr

from fmdj_cloud.demo.servers.guarded import START_S, guarded, make_home, run_as, unprivileged_user
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import DatabaseSettings

_USER = "fmdj"
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/libexec")
"""Where servers lie that an ordinary user's PATH doesn't show."""
_PORTS_TRIED = 5
"""The kernel names a free port; somebody else may take it before the server does."""
_OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--max-connections=200",
    # The data don't outlive the server, so it needn't wait for a disk
    "--debug-no-sync",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=fsync",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-size=64M",
    "--skip-log-bin",
    "--innodb-print-all-deadlocks",
)


@contextlib.contextmanager
def embedded_mariadb(workdir: Path) -> Iterator[DatabaseSettings]:
    """Run a MariaDB server on a free loopback port, with one user whose password only the caller knows.

    Its data directory is a folder of its own in the temporary area, which is removed at the end.

    Parameters
    ----------
    workdir : Path
        Existing folder for the server's log (``mariadb.log``).

    Yields
    ------
    DatabaseSettings
        How to reach it, as a user who may do everything.

    Raises
    ------
    ConfigError
        If the server isn't installed or doesn't start.
    """
    log = workdir / "mariadb.log"
    installer, server = _program("mariadb-install-db"), _program("mariadbd")
    _program("my_print_defaults")  # which the installer asks, and Debian keeps in another package
    with contextlib.ExitStack() as stack:
        try:
            user = unprivileged_user("MariaDB")
            for _ in range(_PORTS_TRIED):
                settings = _start(stack, installer, server, user, log)
                if settings is not None:
                    break
            else:
                raise ConfigError(f"The embedded MariaDB ended as it started: see {log}.")
        except (OSError, subprocess.CalledProcessError) as error:
            raise ConfigError(f"The embedded MariaDB can't be started ({error}): see {log}.") from error
        yield settings


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(_PLACES))
    if found is None:
        raise ConfigError(
            f"MariaDB isn't installed (there is no {name}): as root, run "
            "`apt-get install mariadb-server-core mariadb-client-core`, or install your "
            "system's package of the MariaDB server."
        )
    return found


def _init_data(home: Path, installer: str, user: pwd.struct_passwd | None, password: str, log: Path) -> None:
    # Every user of the machine reaches a loopback port: no account is left that needs no password
    (home / "init.sql").write_text(
        f"CREATE USER '{_USER}'@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO '{_USER}'@'127.0.0.1' WITH GRANT OPTION;\n"
        f"DELETE FROM mysql.global_priv WHERE User NOT IN ('{_USER}', 'mariadb.sys');\n"
        "FLUSH PRIVILEGES;\n"
    )
    if user is not None:
        for path in (home, home / "init.sql"):
            os.chown(path, user.pw_uid, user.pw_gid)
    command = [installer, "--no-defaults", f"--datadir={home / 'data'}", "--skip-test-db", "--skip-name-resolve"]
    run_as(user, [*command, "--auth-root-authentication-method=normal"], log)


def _start(
    stack: contextlib.ExitStack, installer: str, server: str, user: pwd.struct_passwd | None, log: Path
) -> DatabaseSettings | None:
    """Start a server that ends with `stack`; None if it ended by itself."""
    home = make_home("fmdj-my-", "socket", user)
    stack.callback(shutil.rmtree, home, ignore_errors=True)
    password = secrets.token_urlsafe(24)
    _init_data(home, installer, user, password, log)
    port = _free_port()
    command = [server, "--no-defaults", f"--datadir={home / 'data'}", f"--socket={home / 'socket'}", f"--port={port}"]
    # Temporary tables of two servers in one folder have the same names
    command += [f"--init-file={home / 'init.sql'}", f"--pid-file={home / 'pid'}", f"--tmpdir={home}", *_OPTIONS]
    # Killed, not asked: stopping cleanly would write data that are removed at once
    process = stack.enter_context(guarded(command, log, user=user, remove=(home,), signals=("SIGKILL",)))
    settings = DatabaseSettings(
        backend="mysql", host="127.0.0.1", port=port, user=_USER, password=SecretStr(password), use_tls=False
    )
    return settings if _answers(settings, password, process) else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(settings: DatabaseSettings, password: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the server answers; another one on its port doesn't know the password."""
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            pymysql.connect(host=settings.host, port=settings.port or 0, user=_USER, password=password).close()
        except (pymysql.Error, OSError):
            time.sleep(0.05)
        else:
            return True
    return False
