"""Each thing that doctor looks at gets a verdict, and a remedy where something is wrong."""

from __future__ import annotations

import re
import uuid

import pytest

from fmdj_cloud.control.doctor import diagnose_installation
from fmdj_cloud.control.finding import Verdict
from fmdj_cloud.control.grants import Grant, Program, database_grants
from fmdj_cloud.control.server import diagnose_server, missing_rights
from fmdj_cloud.settings import Settings

pytestmark = pytest.mark.integration


def findings(site):
    return {finding["check"]: finding for finding in site.run("doctor", "-o", "json").json}


def test_every_thing_is_looked_at(site):
    found = findings(site)
    assert {"settings", "facemap", "scratch", "launcher", "database", "database version", "packet limit"} <= set(found)
    assert {"wait_timeout", "TLS", "ledger", "pipeline lab", "grants", "videos of lab", "outputs of lab"} <= set(found)
    assert {name for name, one in found.items() if one["verdict"] == "fail"} == set()
    assert found["grants"]["found"] == "This user may be: controller, loader, populate, cli."
    assert "encrypted" in found["TLS"]["found"]
    server = "PostgreSQL" if site.world.database.backend == "postgresql" else "M"
    assert found["database version"]["found"].startswith(server)


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({"controller": {"max_active": 3}}, "up to 3 at a time"),
        (
            {
                "controller": {"launcher": "kubernetes"},
                "kubernetes": {"profiles": {"default": {"max_active": 20}, "pose": {"max_active": 4}}},
            },
            "up to 20 of profile default, 4 of profile pose at a time",
        ),
    ],
)
def test_it_says_how_many_run_at_a_time(settings, limit):
    first = next(iter(diagnose_installation(Settings(**settings))))
    assert limit in first.found


def test_what_is_wrong_has_a_remedy(site, monkeypatch):
    monkeypatch.setenv("FMDJ_WORKER__SCRATCH_DIR", "/proc/1/nowhere")
    answer = site.run("doctor")
    assert answer.code == 1
    assert "Set worker.scratch_dir to a folder" in answer.out


def test_a_small_packet_limit_is_a_warning(site):
    database = site.connect(site.world.settings)
    if database.backend != "mysql":
        found = {one.check: one for one in diagnose_server(database)}
        assert found["packet limit"].verdict is Verdict.NOT_APPLICABLE
        return
    ((limit,),) = database.query("SELECT @@max_allowed_packet")
    database.execute("SET GLOBAL max_allowed_packet = 16777216")
    try:
        again = site.connect(site.world.settings)
        found = {one.check: one for one in diagnose_server(again)}
    finally:
        database.execute(f"SET GLOBAL max_allowed_packet = {limit}")
    assert found["packet limit"].verdict is Verdict.WARN
    assert "16 MiB: recordings with a pupil may have 235929 frames" in found["packet limit"].found


def test_a_right_that_is_missing_is_named(site, monkeypatch):
    admin, name = site.world.database, f"t{uuid.uuid4().hex[:10]}"
    mysql = admin.backend == "mysql"
    admin.execute(f"CREATE USER '{name}'@'%' IDENTIFIED BY 'x'" if mysql else f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    statements = site.run("grants", "loader", "--user", name, "-o", "json").json["loader"]["sql"]
    signal = site.world.lab.element.FacialSignal
    try:
        for statement in statements:
            mine = re.search(rf"{signal.table_name}[`\"]", statement) is not None
            admin.execute(statement.replace("SELECT, INSERT", "SELECT") if mine else statement)
        monkeypatch.setenv("FMDJ_DATABASE__USER", name)
        monkeypatch.setenv("FMDJ_DATABASE__PASSWORD", "x")
        grants = findings(site)["grants"]
    finally:
        admin.execute(f"DROP USER '{name}'@'%'" if mysql else f"DROP OWNED BY {name}")
        if not mysql:
            admin.execute(f"DROP ROLE {name}")
    assert grants["verdict"] == "fail", grants
    assert f"For loader it lacks INSERT on {signal.database}.{signal.table_name}." in grants["found"]


@pytest.mark.parametrize("database_server", ["mariadb"], indirect=True)
def test_rights_of_an_enabled_role_count(site, monkeypatch):
    admin, name = site.world.database, f"t{uuid.uuid4().hex[:10]}"
    user, role, outer = f"'{name}'@'%'", f"{name}_r", f"{name}_o"
    statements = site.run("grants", "loader", "--user", name, "-o", "json").json["loader"]["sql"]
    for statement in (f"CREATE USER {user} IDENTIFIED BY 'x'", f"CREATE ROLE {role}", f"CREATE ROLE {outer}"):
        admin.execute(statement)
    monkeypatch.setenv("FMDJ_DATABASE__USER", name)
    monkeypatch.setenv("FMDJ_DATABASE__PASSWORD", "x")
    try:
        for statement in statements:
            admin.execute(statement.replace(user, role))
        for statement in (f"GRANT {role} TO {outer}", f"GRANT {outer} TO {user}", f"GRANT SELECT ON *.* TO {user}"):
            admin.execute(statement)
        without = findings(site)["grants"]["found"]
        admin.execute(f"SET DEFAULT ROLE {outer} FOR {user}")
        with_role = findings(site)["grants"]["found"]
    finally:
        admin.execute(f"DROP USER {user}")
        for one in (role, outer):
            admin.execute(f"DROP ROLE {one}")
    assert "For loader it lacks" in without
    assert "loader" in with_role.partition(".")[0]


def test_rights_on_a_whole_schema_count(site):
    database = site.world.database
    assert missing_rights(database, database_grants(Program.LOADER, database, [site.world.lab])) == []
    if database.backend == "mysql":
        nowhere = Grant(schema_name="nowhere", table="t", rights=("SELECT",))
        assert missing_rights(database, [nowhere]) == []  # this user's rights are on everything
