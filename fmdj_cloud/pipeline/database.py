"""Our connection to the database: raw SQL that runs on every backend, and DataJoint's instance beside it."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import datajoint as dj

from fmdj_cloud.errors import ConfigError, DatabaseError, DeadlockError
from fmdj_cloud.pipeline.dialect import Backend, Dialect, dialect_of
from fmdj_cloud.pipeline.keepalive import keep_alive
from fmdj_cloud.pipeline.repeating import REPEATING, Repeating
from fmdj_cloud.settings import DatabaseSettings

logger = logging.getLogger(__name__)
R = TypeVar("R")


class Database:
    """One connection. Not thread-safe: every thread and process has its own.

    Parameters
    ----------
    settings : DatabaseSettings
        Fields left empty come from DataJoint's configuration (``DJ_HOST`` ..., ``datajoint.json``).
    connection : datajoint.Connection, optional
        One that is open already, such as that of a lab's own tables; of `settings` only the prefix counts then.
        On MySQL its sessions are made to read what is committed, as those of ours.
    repeating : Repeating
        What becomes of transactions that had to make way for others.

    Attributes
    ----------
    settings : DatabaseSettings
    instance : datajoint.Instance
        For declaring schemas.
    connection : datajoint.Connection
    dialect : Dialect

    Raises
    ------
    ConfigError
        If no user is configured.
    DatabaseError
        If the server can't be reached or refuses the user.
    """

    def __init__(self, settings: DatabaseSettings, *, connection: Any = None, repeating: Repeating = REPEATING) -> None:
        self.settings = settings
        self._repeating = repeating
        self._depth = 0
        self._suspect = False
        self.instance = _connect(settings) if connection is None else _GivenInstance(connection)
        self.connection = self.instance.connection
        self.dialect: Dialect = dialect_of(self.connection.adapter.backend)
        self._connect_plainly = self.connection.connect
        self.connection.connect = self._connect_again  # DataJoint reconnects by itself, too
        self.guarded(self._begin_session)

    @property
    def backend(self) -> Backend:
        """``postgresql`` or ``mysql`` (MariaDB too)."""
        return self.dialect.backend

    @property
    def ledger_schema(self) -> str:
        """Name of our own schema."""
        return self.settings.ledger_schema

    def query(self, sql: str, args: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Run a statement that returns rows.

        Parameters
        ----------
        sql : str
            With ``%s`` for every argument.
        args : tuple

        Raises
        ------
        DatabaseError
            If the server refuses it, or is gone.
        """
        return [tuple(row) for row in self._run(sql, args).fetchall()]

    def execute(self, sql: str, args: tuple[Any, ...] = ()) -> int:
        """Run a statement that changes rows, and return how many it changed.

        Raises
        ------
        DatabaseError
            If the server refuses it, or is gone.
        """
        return int(self._run(sql, args).rowcount)

    def insert_new(self, table: str, row: Mapping[str, Any], key: Sequence[str], *, clock: Sequence[str] = ()) -> bool:
        """Insert a row unless one with its key is there; return whether it was inserted.

        Parameters
        ----------
        table : str
            Quoted full name.
        row : Mapping
            Column -> value.
        key : sequence of str
            Columns of the primary key.
        clock : sequence of str
            Columns that get the database's time.
        """
        columns = ", ".join(map(self.identifier, (*row, *clock)))
        values = ", ".join(["%s"] * len(row) + [self.dialect.now] * len(clock))
        skip = self.connection.adapter.skip_duplicates_clause(table, list(key))
        return self.execute(f"INSERT INTO {table} ({columns}) VALUES ({values}){skip}", tuple(row.values())) == 1

    def now(self) -> dt.datetime:
        """Return the database's clock, naive UTC."""
        ((now,),) = self.query(f"SELECT {self.dialect.now}")
        assert isinstance(now, dt.datetime)  # noqa: S101
        return now

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, ours or a caller's."""
        return bool(self._depth or self.connection.in_transaction)

    def repeated(self, change: Callable[[], R]) -> R:
        """Make a change, again if the server undid it in favour of others.

        Inside a transaction it is made once: what was undone then is the whole of it, which only who began it can
        repeat.

        Parameters
        ----------
        change : callable
            One transaction, or several that may be repeated.

        Raises
        ------
        DeadlockError
            If it was undone every time.
        """
        return change() if self.in_transaction else self._repeating.call(change)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the statements inside as one transaction; joins the one that is already open, if any.

        Raises
        ------
        DatabaseError
            If it can't be committed; whether it was is then not known.
        """
        if self.in_transaction:
            yield
            return
        self.ensure_connected()
        self.guarded(self.connection.start_transaction)
        self._depth = 1
        try:
            yield
        except BaseException:
            self._depth = 0
            self._roll_back()
            raise
        else:
            self._depth = 0
            try:
                self.guarded(self.connection.commit_transaction)
            except BaseException:
                self._roll_back()
                raise

    @contextlib.contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold a server-wide lock: one process at a time declares tables.

        Raises
        ------
        DatabaseError
            If another process holds it for too long.
        """
        if self.query(*self.dialect.lock(name)) in ([(0,)], [(None,)]):  # only MySQL gives up waiting
            raise DatabaseError(f"Another process has held the lock {name} for a minute: is it hanging?")
        try:
            yield
        finally:
            self.query(*self.dialect.unlock(name))

    def tables(self, schema: str) -> set[str]:
        """Return the names of all tables of a schema; empty where it doesn't exist."""
        return {
            str(name)
            for (name,) in self.query(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (schema,)
            )
        }

    def quote(self, schema: str, table: str) -> str:
        """Return a table's full name, quoted."""
        return str(self.connection.adapter.make_full_table_name(schema, table))

    def identifier(self, name: str) -> str:
        """Return a column's name, quoted."""
        return str(self.connection.adapter.quote_identifier(name))

    def ensure_connected(self) -> None:
        """Connect again if the connection is known to be lost; call it before a pass of work.

        Raises
        ------
        DatabaseError
            If the server can't be reached.
        """
        if self.in_transaction:
            return
        self._suspect = False
        # Asked of the adapter: `is_connected` is always true on PostgreSQL (DataJoint 2.3.5)
        if not self.connection.adapter.ping(self.connection._conn):
            logger.warning("The connection to the database was lost: connecting again.")
            self.guarded(self.connection.connect)

    def guarded(self, call: Callable[..., R], *args: Any) -> R:
        """Make a call of DataJoint's, or of the driver's, that speaks to the server.

        Raises
        ------
        DatabaseError
            Whatever they raise.
        """
        try:
            return call(*args)
        except (dj.errors.DataJointError, self.dialect.driver_error) as error:
            if self.dialect.is_deadlock(error):
                raise DeadlockError(
                    f"The database {_where(self.connection.conn_info)} undid a change, since others held the rows it "
                    f"needed ({_first(error)}): try it again."
                ) from error
            self._suspect = True
            raise DatabaseError(
                f"The database {_where(self.connection.conn_info)} refused: {_first(error)}."
            ) from error

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _roll_back(self) -> None:
        try:
            self.guarded(self.connection.cancel_transaction)
        except DatabaseError as error:  # the connection is gone, and the transaction with it
            self.connection._in_transaction = False
            logger.warning("A transaction ended with its connection: %s", error)

    def _run(self, sql: str, args: tuple[Any, ...]) -> Any:
        if self._suspect:
            self.ensure_connected()
        return self.guarded(self.connection.query, sql, args or None)

    def _connect_again(self) -> None:
        self._connect_plainly()
        self._begin_session()

    def _begin_session(self) -> None:
        # The limit is not for a connection that others use too: their transactions may take their time
        keep_alive(self.connection._conn)
        own = () if isinstance(self.instance, _GivenInstance) else (self.settings.idle_transaction_s,)
        for statement in (*self.dialect.session, *map(self.dialect.idle_limit, own)):
            self.connection._conn.cursor().execute(statement)


class _GivenInstance:
    """What :class:`datajoint.Instance` is to us, over a connection that somebody else opened."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def Schema(self, schema_name: str, **options: Any) -> Any:
        return dj.Schema(schema_name, connection=self.connection, **options)


def _connect(settings: DatabaseSettings) -> Any:
    defaults = dj.settings._create_config().database
    backend = settings.backend or defaults.backend
    user = settings.user or defaults.user
    host = settings.host or defaults.host
    if not user:
        raise ConfigError("No database user is configured: set FMDJ_DATABASE__USER, or DJ_USER as for DataJoint.")
    secret = settings.password or defaults.password
    password = secret.get_secret_value() if secret else ""
    # DataJoint's default port belongs to its own backend; a changed backend has its own
    port = settings.port or (defaults.port if backend == defaults.backend else None)
    name = settings.name or defaults.name
    extra = {"database__name": name} if name and backend == "postgresql" else {}
    use_tls = settings.use_tls if settings.use_tls is not None else defaults.use_tls
    try:
        return dj.Instance(host, user, password, port=port, use_tls=use_tls, backend=backend, **extra)
    except ImportError as error:
        raise ConfigError(f"The driver for {backend} is not installed: {error}") from error
    # AttributeError: DataJoint 2.3.5 loses the connection while it makes it
    except (dj.errors.DataJointError, dialect_of(backend).driver_error, OSError, AttributeError) as error:
        where = _where({"host": host, "port": port, "user": user})
        raise DatabaseError(
            f"The database {where} can't be reached: {_first(error)}. Check that it runs, and host, port, user and "
            "password in the settings."
        ) from error


def _where(info: dict[str, Any]) -> str:
    port = f":{info['port']}" if info.get("port") else ""
    return f"{info['user']}@{info['host']}{port}"


def _first(error: BaseException) -> str:
    text = " ".join(str(part) for part in error.args) or type(error).__name__
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    return lines[0].rstrip(".")
