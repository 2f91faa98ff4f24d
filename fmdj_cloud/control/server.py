"""Is the database server what a run needs: its version, limits, encryption, and this user's rights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from fmdj_cloud.control.finding import Finding, Verdict, judged
from fmdj_cloud.control.grants import Grant, Program, database_grants
from fmdj_cloud.control.mysql_rights import has_right, held_rights
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import Lab

_LEAST = {"PostgreSQL": (14, 0), "MariaDB": (10, 6), "MySQL": (8, 0)}
_MIB = 1 << 20
_PACKET_MIB = 64
_BYTES_PER_FRAME = 32
"""Of the largest trace: the axes of the pupil, (2, 2) float64 for each frame."""
_PACKET_SHARE = 0.45
_IDLE_S = 600
"""The loader's connection is idle while it fetches and checks outputs."""
_PROGRAMS = (Program.CONTROLLER, Program.LOADER, Program.POPULATE, Program.CLI)
_LOCAL = ("localhost", "127.", "::1", "/")


def diagnose_server(database: Database) -> Iterator[Finding]:
    """Check version, packet limit, idle limit and encryption, one finding each."""
    mysql = database.backend == "mysql"
    name, version = _version(database)
    least = ".".join(map(str, _LEAST[name]))
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    good = numbers >= _LEAST[name]
    note = " DataJoint 2 warns that it was made for MySQL; our own tests run on MariaDB." if name == "MariaDB" else ""
    remedy = f"Upgrade the server to {name} {least} or newer."
    yield judged("database version", good, f"{name} {version}.{note}", remedy)
    yield (
        _packet(database)
        if mysql
        else Finding(
            check="packet limit", verdict=Verdict.NOT_APPLICABLE, found="PostgreSQL has none below 1 GB a value."
        )
    )
    yield _idle(database)
    yield _tls(database)


def diagnose_grants(database: Database, labs: Sequence[Lab]) -> Finding:
    """Tell which programs this user has the rights for."""
    missing = {program: missing_rights(database, database_grants(program, database, labs)) for program in _PROGRAMS}
    able = [program.value for program in _PROGRAMS if not missing[program]]
    found = f"This user may be: {', '.join(able) or 'none of controller, loader, populate and cli'}."
    for program in _PROGRAMS:
        if missing[program]:
            first, more = missing[program][0], len(missing[program]) - 1
            found += f" For {program.value} it lacks {first}{f' and {more} more' if more else ''}."
    return judged("grants", bool(able), found, "`fmdj grants` prints what each program needs.", Verdict.FAIL)


def missing_rights(database: Database, grants: Iterable[Grant]) -> list[str]:
    """Return those of the rights that this user lacks, as words: ``INSERT on lab.__facial_signal``."""
    mysql = database.backend == "mysql"
    held = held_rights(database, mariadb=_version(database)[0] == "MariaDB") if mysql else frozenset()
    return [
        f"{right} on {grant.schema_name}.{grant.table}"
        for grant in grants
        for right in grant.rights
        if not (
            has_right(held, grant.schema_name, grant.table, right) if mysql else _postgresql_has(database, grant, right)
        )
    ]


def _version(database: Database) -> tuple[str, str]:
    if database.backend == "postgresql":
        return "PostgreSQL", str(database.query("SHOW server_version")[0][0])
    version = str(database.query("SELECT VERSION()")[0][0])
    return ("MariaDB" if "mariadb" in version.lower() else "MySQL"), version


def _packet(database: Database) -> Finding:
    ((limit,),) = database.query("SELECT @@max_allowed_packet")
    frames = int(limit * _PACKET_SHARE / _BYTES_PER_FRAME)
    return judged(
        "packet limit",
        limit >= _PACKET_MIB * _MIB,
        f"max_allowed_packet is {limit / _MIB:.0f} MiB: recordings with a pupil may have {frames} frames.",
        f"SET GLOBAL max_allowed_packet = {1024 * _MIB}; and the same in the server's configuration.",
    )


def _idle(database: Database) -> Finding:
    if database.backend == "mysql":
        name = "wait_timeout"
        ((seconds,),) = database.query("SELECT @@wait_timeout")
    else:
        name = "idle_session_timeout"
        rows = database.query("SELECT setting FROM pg_settings WHERE name = %s", (name,))
        seconds = int(rows[0][0]) / 1000 if rows else 0
    good = not seconds or seconds >= _IDLE_S
    found = f"{name} is {seconds:.0f} s." if seconds else f"{name} is off."
    return judged("wait_timeout", good, found, f"Raise {name} to {_IDLE_S} s: the loader is silent while it checks.")


def _tls(database: Database) -> Finding:
    if database.backend == "mysql":
        rows = database.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        on = bool(rows and rows[0][1])
    else:
        rows = database.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        on = bool(rows and rows[0][0])
    host = str(database.connection.conn_info["host"])
    if on:
        return Finding(check="TLS", verdict=Verdict.OK, found=f"The connection to {host} is encrypted.")
    return judged(
        "TLS",
        host.startswith(_LOCAL),
        f"The connection to {host} is not encrypted.",
        "Set `database.use_tls: true`, and give the server a certificate.",
    )


def _postgresql_has(database: Database, grant: Grant, right: str) -> bool:
    table = database.quote(grant.schema_name, grant.table)
    kind, _, column = right.partition(" ")
    sql = f"SELECT has_{'column' if column else 'table'}_privilege({'%s, ' if column else ''}%s, %s)"
    args = (table, column.strip("()"), kind) if column else (table, kind)
    # the tables of a schema that can't be used can't be named either
    ((usable,),) = database.query("SELECT has_schema_privilege(%s, 'USAGE')", (grant.schema_name,))
    return bool(usable and database.query(sql, args)[0][0])
