"""What PostgreSQL and MySQL (MariaDB) spell differently: everything else in this package is common SQL."""

from __future__ import annotations

import importlib
import re
import zlib
from dataclasses import dataclass
from typing import Literal

Backend = Literal["mysql", "postgresql"]
_LOCK_WAIT_S = 60
_MYSQL_PASSING = (
    *(1015, 1020, 1205, 1206, 1213, 3101),  # locks, and what others changed
    *(1021, 1030, 1037, 1038, 1041, 1114),  # disk and memory
    *(1040, 1203, 1226),  # too many connections
    *(1047, 1053, 1077, 1078, 1079, 1080, 1927, 3168),  # shutting down, or not ready
    *(1044, 1045, 1142, 1143, 1184, 1227),  # rights
    *(1152, 1158, 1159, 1160, 1161, 4031),  # the way to it
    *(1290, 1792, 1836),  # read-only
    *(1317, 1969, 3024),  # interrupted, or out of time
)


@dataclass(frozen=True)
class Dialect:
    """The spellings of one kind of server.

    Attributes
    ----------
    backend : str
        ``postgresql`` or ``mysql``.
    now : str
        Expression: the server's clock as naive UTC with microseconds, when the statement began.
    soon : str
        Expression with one parameter: `now` plus so many microseconds (int).
    share : str
        Suffix of a SELECT that locks the rows it finds against change until the transaction ends.
    session : tuple of str
        Statements that every new connection begins with.
    driver : str
        Module whose ``Error`` is the base of what the driver raises.
    yielding : frozenset
        What the server calls it when it ends a transaction, or a statement, because others hold the rows it needs.
    too_large : frozenset
        What it calls it when a value or row is larger than its limits allow.
    rules : frozenset
        What it calls it when a constraint or a trigger refuses a row.
    passing : pattern
        What it calls trouble of its own, which passes or is mended without a change of what it was asked.
    """

    backend: Backend
    now: str
    soon: str
    share: str
    session: tuple[str, ...]
    driver: str
    yielding: frozenset[int | str]
    too_large: frozenset[int | str]
    rules: frozenset[int | str]
    passing: re.Pattern[str]

    @property
    def driver_error(self) -> type[Exception]:
        """Base class of the driver's errors."""
        error: type[Exception] = importlib.import_module(self.driver).Error
        return error

    def is_deadlock(self, error: BaseException) -> bool:
        """Tell whether an error means that a transaction had to make way for another, and may be repeated."""
        return self._code(error) in self.yielding

    def is_too_large(self, error: BaseException) -> bool:
        """Tell whether an error means that a value or row doesn't fit, however often it is tried."""
        return self._code(error) in self.too_large

    def is_against_rules(self, error: BaseException) -> bool:
        """Tell whether an error means that a constraint or a trigger of the database refuses a row."""
        return self._code(error) in self.rules

    def was_answered(self, error: BaseException) -> bool:
        """Tell whether an error is a server's answer to what it was asked, not trouble of its own or of the way to it.

        Such an answer may be the same however often it is asked.
        """
        code = self._code(error)
        return code is not None and self.passing.fullmatch(str(code)) is None

    def _code(self, error: BaseException) -> int | str | None:
        """Return what the server calls an error; None for one that isn't the driver's."""
        if not isinstance(error, self.driver_error):
            return None
        code: int | str | None = getattr(error, "pgcode", None)
        return code if self.backend == "postgresql" else next(iter(error.args), None)

    def idle_limit(self, seconds: int) -> str:
        """Return the statement that makes the server end a session of ours that is idle inside a transaction."""
        if self.backend == "postgresql":
            return f"SET SESSION idle_in_transaction_session_timeout = {seconds * 1000}"
        # MySQL knows no such limit, and reads what is for MariaDB alone as a comment
        return f"SET @fmdj_idle = {seconds} /*M!100300 , SESSION idle_transaction_timeout = {seconds} */"

    def nul_position(self, column: str) -> str:
        """Return the expression of where the first NUL of a column of bytes is, from 1; NULL where there is none."""
        if self.backend == "postgresql":
            return rf"NULLIF(POSITION('\x00'::bytea IN {column}), 0)"
        return f"NULLIF(LOCATE(X'00', {column}), 0)"

    def sha256(self, expression: str) -> str:
        """Return the expression of the SHA-256 of bytes, as lower-case hexadecimal digits."""
        if self.backend == "postgresql":
            return f"ENCODE(SHA256({expression}), 'hex')"
        return f"SHA2({expression}, 256)"

    @property
    def connection_id(self) -> str:
        """Expression: the number by which the server knows this connection."""
        return "pg_backend_pid()" if self.backend == "postgresql" else "CONNECTION_ID()"

    def seconds_since(self, column: str) -> str:
        """Return the expression of how long ago a time is that was written as CURRENT_TIMESTAMP, seconds."""
        if self.backend == "postgresql":
            return f"EXTRACT(EPOCH FROM LOCALTIMESTAMP - {column})"
        return f"TIMESTAMPDIFF(SECOND, {column}, CURRENT_TIMESTAMP)"

    def lock(self, name: str) -> tuple[str, tuple[object, ...]]:
        """Return statement and arguments that take the server-wide lock called `name`, waiting for it."""
        if self.backend == "postgresql":
            return "SELECT pg_advisory_lock(%s)", (zlib.crc32(name.encode()),)
        return "SELECT GET_LOCK(%s, %s)", (name[:64], _LOCK_WAIT_S)

    def unlock(self, name: str) -> tuple[str, tuple[object, ...]]:
        """Return statement and arguments that release the lock called `name`."""
        if self.backend == "postgresql":
            return "SELECT pg_advisory_unlock(%s)", (zlib.crc32(name.encode()),)
        return "SELECT RELEASE_LOCK(%s)", (name[:64],)


POSTGRESQL = Dialect(
    backend="postgresql",
    now="(statement_timestamp() AT TIME ZONE 'UTC')",
    soon="(statement_timestamp() AT TIME ZONE 'UTC' + %s * INTERVAL '1 microsecond')",
    share="FOR SHARE",
    session=(),
    driver="psycopg2",
    # serialization_failure, deadlock_detected, lock_not_available (where the administrator set lock_timeout)
    yielding=frozenset({"40001", "40P01", "55P03"}),
    too_large=frozenset({"54000", "54011"}),  # program_limit_exceeded, too_many_columns
    rules=frozenset({"23502", "23514", "23P01", "P0001"}),  # not_null, check, exclusion, raise_exception
    # connection, read-only, authorization, rollback, resources, state of objects, operator, system, internal; rights
    passing=re.compile("(08|25|28|40|53|55|57|58|XX).*|42501"),
)
MYSQL = Dialect(
    backend="mysql",
    now="UTC_TIMESTAMP(6)",
    soon="(UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND)",
    share="LOCK IN SHARE MODE",  # FOR SHARE is unknown to MariaDB
    # As PostgreSQL: a statement sees what is committed, and absent rows aren't locked.
    session=("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",),
    driver="pymysql",
    # ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK, ER_TRANSACTION_ROLLBACK_DURING_COMMIT (group replication)
    yielding=frozenset({1205, 1213, 3101}),
    # ER_TOO_BIG_ROWSIZE (also: a tenth of the redo log), ER_NET_PACKET_TOO_LARGE, ER_TRANS_CACHE_FULL,
    # ER_WARN_ALLOWED_PACKET_OVERFLOWED
    too_large=frozenset({1118, 1153, 1197, 1301}),
    # ER_BAD_NULL_ERROR, ER_SIGNAL_EXCEPTION, ER_CHECK_CONSTRAINT_VIOLATED, and the last as MariaDB calls it
    rules=frozenset({1048, 1644, 3819, 4025}),
    passing=re.compile(f"[0-9]{{1,3}}|2[0-9]{{3}}|{'|'.join(map(str, _MYSQL_PASSING))}"),  # client errors, too
)


def dialect_of(backend: str) -> Dialect:
    """Return the dialect of a DataJoint backend."""
    return POSTGRESQL if backend == "postgresql" else MYSQL
