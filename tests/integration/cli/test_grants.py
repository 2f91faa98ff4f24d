"""Programs run with the rights that ``fmdj grants`` prints, and no others."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid

import pytest
from pydantic import SecretStr

from fmdj_cloud.contracts import Outcome, RunState
from fmdj_cloud.control.gc.run import housekeep
from fmdj_cloud.errors import ConfigError, DatabaseError, InputError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.signals_gone import delete_gone

pytestmark = pytest.mark.integration


@pytest.fixture
def make_user(site):
    """Creates a database user with the rights that a program is said to need; returns settings that use it."""
    made = []

    def make(program):
        admin = site.world.database
        name = f"t{uuid.uuid4().hex[:10]}"
        if admin.backend == "postgresql":
            admin.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'secret'")
        else:
            admin.execute(f"CREATE USER '{name}'@'%' IDENTIFIED BY 'secret'")
        made.append(name)
        for statement in site.run("grants", program, "--user", name, "-o", "json").json[program]["sql"]:
            admin.execute(statement.rstrip(";"))
        settings = site.world.settings
        database = settings.database.model_copy(update={"user": name, "password": SecretStr("secret")})
        return settings.model_copy(update={"database": database})

    yield make
    while site.databases:
        site.databases.pop().close()
    for name in made:
        admin = site.world.database
        if admin.backend == "postgresql":
            admin.execute(f'DROP OWNED BY "{name}"')
            admin.execute(f'DROP ROLE "{name}"')
        else:
            admin.execute(f"DROP USER '{name}'@'%'")


def test_controller_and_loader_need_no_more(site, make_user):
    site.real_workers = True
    key = site.world.insert_task()
    controller = site.controller(make_user("controller"))
    loader = site.loader(make_user("loader"))
    site.until(controller, key, "published")
    (result,) = loader.run_pass()
    assert result.end == "loaded", result.sentence
    assert len(site.world.lab.element.Region & key) == 1
    # the rest of what they do: supersede, wait, refuse, fail, plan anew
    site.world.lab.element.FacemapTask.update1(key | {"facemap_params": {"sbin": 8}})
    (site.world.lab.element.FacemapProcessing & key).delete(prompt=False)
    edited = site.until(controller, key, "published")
    assert site.world.ledger.supersede(edited.run_id, RunState.PUBLISHED, 1, "for the test")
    assert controller.run_pass().planned == 1
    missing, refused = site.world.insert_task(), site.world.insert_task(facemap_params={"nonsense": 1})
    site.world.store.delete(f"{site.world.bucket}/videos/rec2/cam.avi")
    report = controller.run_pass()
    assert (report.waiting, report.refused, report.errors) == (1, 1, ())
    site.world.lab.element.FacemapTask.update1(refused | {"facemap_params": {"sbin": 4}})
    assert controller.run_pass().planned == 1
    assert site.world.run_of(missing) is None


def test_a_row_without_signals_is_made_to_tell_of_what_is_loaded(site, make_user):
    site.real_workers = True
    key = site.world.insert_task()
    old = {"processing_time": "2020-01-31 12:00:00", "package_version": "0.2.0"}
    site.world.lab.element.FacemapProcessing.insert1(key | old, allow_direct_insert=True)
    site.until(site.controller(), key, "published")
    (result,) = site.loader(make_user("loader")).run_pass()
    assert result.end == "loaded", result.sentence
    assert (site.world.lab.element.FacemapProcessing & key).fetch1("package_version") == "1.0.8"


def test_populate_needs_no_more(site, make_user):
    first, second = site.world.insert_task(), site.world.insert_task()
    element = site.element(make_user("populate"))
    with pytest.raises(DatabaseError):  # what counts is what this user may do
        element.database.execute(f"DELETE FROM {element.FacemapTask.full_table_name}")
    assert element.FacemapProcessing.populate(first)["success_count"] == 1
    assert element.FacialSignal.populate(first)["success_count"] == 1
    assert len(element.Region & first) == 1
    assert (element.RecordingInfo & first).fetch1("nframes") > 0
    assert (element.FacemapTask & first).fetch1("facemap_output_dir")
    # the rest of what it does: refuse, edit, ask again
    table = site.world.lab.element.FacemapTask
    table.update1(second | {"facemap_params": {"nonsense": 1}})
    with pytest.raises(InputError):
        element.FacemapProcessing.populate(second)
    table.update1(second | {"facemap_params": {"sbin": 4}})
    assert element.FacemapProcessing.populate()["success_count"] == 1
    (site.world.lab.element.FacemapProcessing & second).delete(prompt=False)
    run = site.world.run_of(second)
    assert site.world.ledger.fail(run.run_id, run.state, run.attempt, Outcome(failure_class="load", sentence="Odd."))
    assert element.FacemapProcessing.populate()["success_count"] == 1
    assert element.FacialSignal.populate()["success_count"] == 1


@pytest.fixture
def job_tables(site):
    """The lab's job tables, for one test: in a lab that has them the controller looks into them."""
    element = site.element(site.world.settings)
    names = []
    for table in (element.FacemapProcessing, element.FacialSignal):
        table().jobs.refresh()  # declares it, which a user with these rights could not
        names.append(table().jobs.full_table_name)
    yield
    for name in names:
        site.world.database.execute(f"DROP TABLE {name}")


def test_populate_needs_the_job_tables_where_it_reserves_jobs(site, job_tables, make_user):
    key = site.world.insert_task()
    element = site.element(make_user("populate"))
    assert element.FacemapProcessing.populate(reserve_jobs=True)["success_count"] == 1
    assert element.FacialSignal.populate(reserve_jobs=True)["success_count"] == 1
    assert element.FacialSignal & key


def test_people_need_no_more(site, make_user, monkeypatch):
    key = site.world.insert_task()
    settings = make_user("cli")
    monkeypatch.setenv("FMDJ_DATABASE__USER", settings.database.user)
    monkeypatch.setenv("FMDJ_DATABASE__PASSWORD", "secret")
    words = f"recording_id={key['recording_id']}"
    assert site.order("hold", words)[0]["end"] == "done"
    assert site.order("release", words)[0]["end"] == "done"
    assert site.order("priority", words, "3")[0]["end"] == "done"
    assert site.order("retry", words, "--accept", "nan", "--recompute")[0]["end"] == "done"
    assert site.run("release").code == 0
    assert site.order("plan")["lab"]["pending"] == 1
    site.until(site.controller(), key, "published")
    assert site.order("cancel", words)[0]["end"] == "done"
    assert site.order("status")["counts"] == {"published": 1}
    assert site.order("explain", words)[0]["state"] == "published"


def test_housekeeping_needs_no_more(site, make_user):
    key = site.world.insert_task()
    run = site.until(site.controller(), key, "published")
    folder = site.world.attempt_of(key).folder
    assert site.world.ledger.supersede(run.run_id, RunState.PUBLISHED, 1, "for the test")
    blink = site.world.lab.signals.Blink.full_table_name
    database = site.connect(make_user("gc"))
    with pytest.raises(DatabaseError):  # what counts is what this user may do
        database.execute(f"UPDATE {site.world.ledger.run_table} SET state = 'loaded'")
    with pytest.raises(DatabaseError):
        database.execute(f"INSERT INTO {blink} SELECT * FROM {blink}")
    ledger = Ledger(database)
    lab = open_lab(database, ledger, site.world.settings.pipelines[0])
    later = database.now() + dt.timedelta(days=400)
    lines = housekeep(site.world.settings, ledger, [lab], site.world.store, site.launcher(), now=later, delete=True)
    assert {line.done for line in lines} == {True}
    assert not list(site.world.store.list(folder))
    assert delete_gone(database, lab, str(lab.signals.Blink.table_name)) == 0


@pytest.mark.parametrize(
    ("program", "table"),
    [
        ("controller", "FacialSignal"),
        ("gc", "FacemapTask"),
        ("loader", "VideoRecording"),
        ("populate", "FacialSignal"),
        ("cli", "FacemapProcessing"),
    ],
)
def test_the_labs_tables_are_safe_from_them(site, make_user, program, table):
    database = Database(make_user(program).database)
    site.databases.append(database)
    name = getattr(site.world.lab.element, table).full_table_name
    for statement in (f"DELETE FROM {name}", f"UPDATE {name} SET recording_id = 7", f"DROP TABLE {name}"):
        with pytest.raises(DatabaseError):
            database.execute(statement)
    with contextlib.suppress(DatabaseError):
        database.execute("ROLLBACK")
    with pytest.raises(DatabaseError):
        database.execute(f"CREATE TABLE {database.quote(database.ledger_schema, 'mine')} (a INT)")


def test_a_program_without_rights_to_declare_says_who_should(site, make_user):
    """Before `fmdj migrate` has run, as a user who may only use what is there."""
    settings = make_user("loader")
    other = settings.database.model_copy(update={"prefix": f"{settings.database.prefix}other_"})
    with pytest.raises(ConfigError, match="fmdj migrate"):
        site.loader(settings.model_copy(update={"database": other}))


def test_a_worker_needs_no_rights_in_the_database(site):
    assert site.run("grants", "worker", "-o", "json").json["worker"]["sql"] == []


def test_grants_in_words(site):
    answer = site.run("grants")
    assert answer.code == 0
    assert "-- loader: database" in answer.out
    assert "UPDATE (facemap_output_dir)" in answer.out
    assert '"s3:ListBucket"' in answer.out
    assert site.run("grants", "--user", "me").code == 2
