"""The ledger knows its version: an older one is migrated, a newer one refused."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import Kind
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.ledger_schema import SCHEMA_VERSION, version_of

pytestmark = pytest.mark.integration


def set_version(database, version):
    table = database.quote(database.ledger_schema, "schema_version")
    database.execute(f"UPDATE {table} SET version = %s", (version,))


def make_version_0(database):
    """Drop what version 1 brought."""
    for table in ("schema_version", "acceptance", "recompute"):
        database.execute(f"DROP TABLE {database.quote(database.ledger_schema, table)}")


def test_a_ledger_from_before_versions_were_kept_is_migrated(own_site):
    site = own_site
    key = site.world.insert_task()
    site.until(site.controller(), key, "published")
    before = site.world.run_of(key)
    site.end_lease()
    make_version_0(site.world.database)
    for program in (site.controller, site.loader):
        with pytest.raises(ConfigError, match="run `fmdj migrate`"):
            program()
    answer = site.run("status")
    assert answer.code == 20
    assert "fmdj migrate" in answer.err
    answer = site.run("migrate")
    assert answer.code == 0, answer.err
    assert f"from version 0 to {SCHEMA_VERSION}" in answer.out
    assert Ledger(site.connect(site.world.settings)).run(before.run_id) == before
    assert site.controller().run_pass().errors == ()
    site.end_lease()
    assert "nothing to do" in site.run("migrate").out


def test_a_migration_that_was_cut_off_is_finished(own_site):
    site = own_site
    make_version_0(site.world.database)
    assert site.run("migrate").code == 0
    set_version(site.world.database, 0)  # as if it had died before its last step
    assert site.run("migrate").code == 0
    assert version_of(site.world.database) == SCHEMA_VERSION


def test_runs_from_before_task_tables_were_told_apart_are_facemap_tasks(own_site):
    site = own_site
    key = site.world.insert_task()
    site.until(site.controller(), key, "published")
    before = site.world.run_of(key)
    site.end_lease()
    database = site.world.database
    database.execute(f"ALTER TABLE {database.quote(database.ledger_schema, 'run')} DROP COLUMN task_kind")
    set_version(database, 1)
    assert f"from version 1 to {SCHEMA_VERSION}" in site.run("migrate").out
    assert Ledger(site.connect(site.world.settings)).run(before.run_id) == before
    assert before.task_kind is Kind.SVD
    assert site.controller().run_pass().errors == ()


def test_a_ledger_from_before_quality_was_kept_gets_its_table(own_site):
    site = own_site
    key = site.world.insert_task()
    site.until(site.controller(), key, "published")
    before = site.world.run_of(key)
    site.end_lease()
    database = site.world.database
    database.execute(f"DROP TABLE {database.quote(database.ledger_schema, 'quality')}")
    set_version(database, 3)
    assert "fmdj migrate" in site.run("status").err
    assert f"from version 3 to {SCHEMA_VERSION}" in site.run("migrate").out
    ledger = Ledger(site.connect(site.world.settings))
    assert (ledger.run(before.run_id), ledger.quality(before.run_id)) == (before, ())


def test_nobody_migrates_under_a_controller_that_leads(own_site):
    site = own_site
    site.world.ledger.acquire("somebody", 600)
    set_version(site.world.database, 0)
    answer = site.run("migrate")
    assert answer.code == 20
    assert "stop all controllers and loaders" in answer.err
    assert version_of(site.world.database) == 0


def test_a_newer_ledger_is_refused(own_site):
    site = own_site
    set_version(site.world.database, SCHEMA_VERSION + 1)
    for command in ("status", "migrate"):
        answer = site.run(command)
        assert answer.code == 20
        assert "made by a newer fmdj" in answer.err


def test_migrate_makes_everything_for_users_who_may_not(own_site):
    site = own_site
    database = site.world.database
    mysql = database.backend == "mysql"
    database.execute(f"DROP SCHEMA {database.identifier(database.ledger_schema)}{'' if mysql else ' CASCADE'}")
    answer = site.run("migrate")
    assert "was created" in answer.out
    tables = Database(site.world.settings.database).tables(database.ledger_schema)
    assert {"run", "run__attempt", "lab_binding_svd", "lab_pupil", "schema_version"} <= tables
