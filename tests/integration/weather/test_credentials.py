"""Credentials that are replaced while the lab works."""

from __future__ import annotations

from typing import Any

import pytest

from fmdj_cloud.contracts import RunState
from tests.support.kills import oracle
from tests.support.kills.world import Program, eventually
from tests.support.weather.lab import StormyLab

pytestmark = pytest.mark.integration
OLD, NEW = "only-yesterday", "from-today-on"


def _stop(program: Program) -> None:
    program.asked = True
    program.send("SIGTERM")
    program.process.wait(30)
    program.check_end()


def _running(lab: StormyLab) -> tuple[dict[str, Any], list[Program]]:
    programs = [lab.start("controller"), lab.start("loader")]
    key = lab.insert_task()
    eventually((lab.folder / "gate" / "at-a1").exists, "the worker")
    return key, programs


@pytest.mark.parametrize("database_server", ["mariadb"], indirect=True)  # our PostgreSQL asks for no password
def test_a_database_password_that_changes_costs_a_restart_and_no_work(gated: StormyLab) -> None:
    lab = gated
    user = f"{lab.settings.database.prefix}program"
    lab.database.execute(f"CREATE USER '{user}'@'%%' IDENTIFIED BY '{OLD}'")
    lab.database.execute(f"GRANT ALL ON *.* TO '{user}'@'%%'")
    lab.through["database"] |= {"user": user, "password": OLD}
    key, programs = _running(lab)

    lab.database.execute(f"ALTER USER '{user}'@'%%' IDENTIFIED BY '{NEW}'")
    lab.to_database.cut()
    (lab.folder / "gate" / "go").touch()
    for program in programs:
        eventually(lambda program=program: program.said("Access denied"), "the refusal")
        assert program.process.poll() is None
        _stop(program)
    lab.through["database"] |= {"password": NEW}
    for role in ("controller", "loader"):
        lab.start(role)

    lab.until(key, RunState.LOADED)
    oracle.check_loaded(lab, key)
    oracle.check_clean(lab)
    assert lab.run_of(key).attempt == 1
    lab.database.execute(f"DROP USER '{user}'@'%%'")


@pytest.mark.parametrize("database_server", ["postgres"], indirect=True)
def test_keys_of_the_store_that_expire_are_told_and_what_met_them_goes_on_by_itself(gated: StormyLab) -> None:
    lab = gated
    lab.through["s3"] |= {"access_key_id": OLD}
    key, programs = _running(lab)

    lab.to_store.change(status=401, matching=f"Credential={OLD}/")
    (lab.folder / "gate" / "go").touch()
    eventually(lambda: programs[0].said("ExpiredToken"), "the refusal")
    for program in programs:
        _stop(program)
    lab.through["s3"] |= {"access_key_id": NEW}
    for role in ("controller", "loader"):
        lab.start(role)
    lab.until(key, RunState.LOADED)
    oracle.check_clean(lab)
    assert lab.outcomes(key) == ["storage", "published"]
