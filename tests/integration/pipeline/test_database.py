"""The connection: settings, clock, transactions, and what happens when the server goes away."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from pydantic import SecretStr

from fmdj_cloud.errors import ConfigError, DatabaseError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.settings import DatabaseSettings

from .conftest import World

pytestmark = pytest.mark.integration


def test_empty_settings_come_from_datajoints_configuration(
    postgres_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "DJ_BACKEND": postgres_settings.backend,
        "DJ_HOST": postgres_settings.host,
        "DJ_PORT": postgres_settings.port,
        "DJ_USER": postgres_settings.user,
        "DJ_PASS": postgres_settings.password.get_secret_value() if postgres_settings.password else "",
        "DJ_DATABASE_NAME": postgres_settings.name,
        "DJ_USE_TLS": "false",
    }.items():
        if value is not None:
            monkeypatch.setenv(name, str(value))
    database = Database(DatabaseSettings(prefix="mine_"))
    assert database.backend == postgres_settings.backend
    assert database.ledger_schema == "mine_fmdj"
    assert database.query("SELECT 1") == [(1,)]
    database.close()


def test_without_a_user_the_settings_are_wrong() -> None:
    with pytest.raises(ConfigError, match="FMDJ_DATABASE__USER"):
        Database(DatabaseSettings(backend="postgresql", host="localhost"))


def test_a_server_that_is_not_there_is_one_sentence(tmp_path) -> None:
    settings = DatabaseSettings(
        backend="postgresql", host=str(tmp_path), user="nobody", password=SecretStr("top-secret"), use_tls=False
    )
    with pytest.raises(DatabaseError, match=f"nobody@{tmp_path}") as caught:
        Database(settings)
    assert "top-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_clock_is_the_servers_in_utc(world: World) -> None:
    now = world.database.now()
    assert now.tzinfo is None
    assert abs((now - dt.datetime.now(dt.UTC).replace(tzinfo=None)).total_seconds()) < 5
    assert world.database.now() > now


def test_a_refused_statement_is_a_database_error_and_the_connection_goes_on(world: World) -> None:
    with pytest.raises(DatabaseError, match="refused"):
        world.database.query("SELECT 1 FROM information_schema.no_such_table")
    assert world.database.query("SELECT 1") == [(1,)]


def test_a_transaction_inside_another_is_part_of_it(world: World) -> None:
    device = next(name for name in world.element.VideoRecording.parents() if "device" in name)

    def insert_and_fail() -> None:
        with world.database.transaction():
            with world.database.transaction():
                world.database.execute(f"INSERT INTO {device} (device) VALUES ('second')")
            raise KeyError("after the inner one ended")

    with pytest.raises(KeyError):
        insert_and_fail()
    assert world.database.query(f"SELECT device FROM {device}") == [("cam",)]
    assert not world.database.connection.in_transaction


def test_a_statement_refused_inside_a_transaction_rolls_it_back(world: World) -> None:
    def fail() -> None:
        with world.database.transaction():
            world.add_recording(1)
            world.database.execute("INSERT INTO information_schema.no_such_table VALUES (1)")

    with pytest.raises(DatabaseError, match="refused"):
        fail()
    assert len(world.element.VideoRecording()) == 0
    world.add_recording(1)


def _kill(victim: Database, killer: Database) -> None:
    if victim.backend == "postgresql":
        ((pid,),) = victim.query("SELECT pg_backend_pid()")
        killer.query("SELECT pg_terminate_backend(%s)", (pid,))
    else:
        ((pid,),) = victim.query("SELECT connection_id()")
        killer.execute(f"KILL {pid}")
    time.sleep(0.2)


def test_a_lost_connection_is_made_again(world: World, connect) -> None:
    victim, killer = connect(), world.database
    _kill(victim, killer)
    victim.ensure_connected()
    assert victim.query("SELECT 1") == [(1,)]
    if victim.backend == "mysql":
        assert victim.query("SELECT @@tx_isolation") == [("READ-COMMITTED",)]


def test_a_connection_lost_in_a_transaction_loses_the_transaction(world: World, connect) -> None:
    victim, killer = connect(), world.database
    device = next(name for name in world.element.VideoRecording.parents() if "device" in name)

    def lose() -> None:
        with victim.transaction():
            victim.execute(f"INSERT INTO {device} (device) VALUES ('lost')")
            _kill(victim, killer)
            victim.execute(f"INSERT INTO {device} (device) VALUES ('never')")

    with pytest.raises(DatabaseError):
        lose()
    with victim.transaction():
        assert victim.query(f"SELECT device FROM {device}") == [("cam",)]
