"""Housekeeping over real databases and stores, beside programs that run meanwhile."""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from pathlib import Path

import pytest
import yaml

from fmdj_cloud.contracts import RunState
from fmdj_cloud.control.gc.decide import decide
from fmdj_cloud.control.gc.facts import Thing
from fmdj_cloud.control.gc.look import look
from fmdj_cloud.control.gc.run import housekeep
from fmdj_cloud.control.gc.sweep import Sweeper
from fmdj_cloud.control.launchers.local import LocalLauncher
from fmdj_cloud.demo.keeper import plain
from fmdj_cloud.errors import LostRaceError
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.signals_gone import delete_gone
from fmdj_cloud.storage import open_store
from fmdj_cloud.storage.client import make_client
from tests.support.kills.world import eventually

pytestmark = pytest.mark.integration
_LATER = dt.timedelta(days=400)


def clear(site, *, delete=True, later=_LATER, settings=None):
    """Do housekeeping as if so much time had passed."""
    world = site.world
    settings = settings or world.settings
    now = world.ledger.database.now() + later
    return housekeep(settings, world.ledger, [world.lab], world.store, site.launcher(), now=now, delete=delete)


def sweeper(site, store=None):
    """Look now, for a sweep later; return what sweeps, and the lines that it was told."""
    world = site.world
    facts = look(world.ledger, [world.lab], world.store, None, world.ledger.database.now() + _LATER)
    ledger = Ledger(site.connect(world.settings))
    made = Sweeper(ledger, [world.lab], store or world.store, None, world.settings.gc, facts)
    return made, decide(facts, world.settings.gc)


def files(site, folder):
    return {info.uri.removeprefix(f"{folder}/") for info in site.world.store.list(folder)}


@pytest.fixture
def superseded(site):
    """A task whose outputs were published and given up; the run, its attempt folder and its task."""
    key = site.world.insert_task()
    run = site.until(site.controller(), key, "published")
    folder = site.world.attempt_of(key).folder
    site.world.store.put_bytes(f"{folder}/pod-1/signals.h5", b"signals" * 100)
    site.world.store.put_bytes(f"{folder}/notes.txt", b"a person's own")
    assert site.world.ledger.supersede(run.run_id, RunState.PUBLISHED, 1, "for the test")
    return site.world.ledger.run(run.run_id), folder, key


def plan_again(ledger, site, run, key, *, verifies):
    tasks = site.world.lab.tables[0]
    plan = ledger.plan_of(run.run_id)
    return ledger.plan(
        tasks.get(key), run.run_id, run.content_digest, plan, run.output_dir, manifest_verifies=verifies, epoch=None
    )


def test_what_a_superseded_attempt_has_left_goes_when_its_time_is_over(site, superseded):
    run, folder, _ = superseded
    inputs = files(site, f"{site.world.bucket}/videos")
    assert clear(site, later=dt.timedelta(hours=1)) == []
    shown = clear(site, delete=False)
    assert {line.thing for line in shown} == {Thing.SPECS, Thing.OUTPUTS, Thing.LOGS}
    assert not any(line.done for line in shown)
    assert "pod-1/signals.h5" in files(site, folder)
    assert all(line.done for line in clear(site))
    assert files(site, folder) == {"notes.txt"}
    assert files(site, f"{site.world.bucket}/videos") == inputs
    assert site.world.ledger.run(run.run_id).manifest_sha256 is None
    assert site.world.ledger.run(run.run_id).updated == run.updated
    assert clear(site) == []


def test_loaded_outputs_and_those_that_another_run_has_taken_stay(site):
    first = site.world.insert_task()
    controller = site.controller()
    site.until(controller, first, "published")
    site.pretend_loaded(first)
    second = first | {"facemap_task_id": 1}
    row = (site.world.lab.element.FacemapTask & first).fetch1()
    site.world.lab.element.FacemapTask.insert1(row | second)
    run = site.until(controller, second, "published")
    assert "equal content" in site.world.ledger.attempts(run.run_id)[-1].sentence
    site.pretend_loaded(second)
    assert clear(site) == []
    donor = site.world.run_of(first)
    (site.world.lab.element.FacemapProcessing & first).delete(prompt=False)
    (site.world.lab.element.FacemapTask & first).delete(prompt=False)
    assert site.world.ledger.supersede(donor.run_id, RunState.LOADED, 1, "Its task is gone.")
    folder = site.world.ledger.attempts(donor.run_id)[-1].folder
    before = files(site, folder)
    assert clear(site) == []
    assert files(site, folder) == before


def test_what_a_task_points_at_stays(site, superseded):
    _, folder, key = superseded
    place = folder.removeprefix(f"{site.world.settings.pipelines[0].processed_root}/")
    site.world.lab.element.FacemapTask.update1(key | {"facemap_output_dir": f"{place}/pod-1"})
    assert clear(site) == []
    assert "manifest.json" in files(site, folder)


def test_what_comes_back_to_life_after_the_look_stays(site, superseded):
    run, folder, key = superseded
    sweep, lines = sweeper(site)
    assert any(line.goes for line in lines)
    before = files(site, folder)
    again = plan_again(site.world.ledger, site, run, key, verifies=lambda *_: True)
    assert again.state is RunState.PUBLISHED
    assert not any(line.done for line in sweep.sweep(lines))
    assert files(site, folder) == before


def test_what_is_pointed_at_after_the_look_stays(site, superseded):
    run, folder, key = superseded
    sweep, lines = sweeper(site)
    site.world.lab.element.FacemapTask.update1(key | {"facemap_output_dir": f"m1/{run.run_id}/a1/pod-1"})
    assert not any(line.done for line in sweep.sweep(lines))
    assert "pod-1/signals.h5" in files(site, folder)


def test_what_a_new_task_loads_from_after_the_look_stays(site, superseded):
    _, folder, key = superseded
    sweep, lines = sweeper(site)
    above = folder.removeprefix(f"{site.world.settings.pipelines[0].processed_root}/").rpartition("/svd-")[0]
    row = (site.world.lab.element.FacemapTask & key).fetch1() | {"facemap_task_id": 7}
    site.world.lab.element.FacemapTask.insert1(row | {"task_mode": "load", "facemap_output_dir": f"/mnt/x/{above}/"})
    assert not any(line.done for line in sweep.sweep(lines))
    assert "pod-1/signals.h5" in files(site, folder)


def test_outputs_that_verified_just_before_they_were_deleted_are_not_loaded(site, superseded):
    run, _, key = superseded
    sweep, lines = sweeper(site)

    def verifies(*_):
        assert all(line.done for line in sweep.sweep(lines))
        return True

    with pytest.raises(LostRaceError):
        plan_again(site.world.ledger, site, run, key, verifies=verifies)
    again = plan_again(site.world.ledger, site, run, key, verifies=lambda *_: pytest.fail("there is nothing to verify"))
    assert (again.state, again.attempt) == (RunState.READY, 2)


class Dying:
    """A store of a process that is killed at one of its deletions."""

    def __init__(self, store, deletions):
        self._store, self._left = store, deletions

    def __getattr__(self, name):
        return getattr(self._store, name)

    def delete(self, uri, *, below=None):
        if not self._left:
            raise KeyboardInterrupt
        self._left -= 1
        self._store.delete(uri, below=below)


@pytest.mark.parametrize("deletions", [0, 2])
def test_killed_at_any_point_it_is_just_run_again(site, superseded, deletions):
    run, folder, _ = superseded
    sweep, lines = sweeper(site, Dying(site.world.store, deletions))
    with pytest.raises(KeyboardInterrupt):
        list(sweep.sweep(lines))
    # nobody takes what is half there for whole
    assert site.world.ledger.run(run.run_id).manifest_sha256 is None
    assert all(line.done for line in clear(site))
    assert files(site, folder) == {"notes.txt"}


def test_signal_rows_whose_facialsignal_is_gone_go(site):
    lab = site.world.lab
    key, other = site.world.insert_task(), site.world.insert_task()
    made = {"processing_time": "2026-01-31 12:00:00", "package_version": "1.0.8"}
    lab.element.FacemapProcessing.insert1(other | made, allow_direct_insert=True)
    lab.element.FacialSignal.insert1(other, allow_direct_insert=True)
    database = site.world.database
    for one in (key, other):
        names = [*one, "roi_no", "trace"]
        columns = ", ".join(database.identifier(name) for name in names)
        sql = f"INSERT INTO {lab.signals.Blink.full_table_name} ({columns}) VALUES ({', '.join(['%s'] * len(names))})"
        database.execute(sql, (*one.values(), 1, b"\0" * 100))
    shown = site.run("gc", "-o", "json").json
    assert [(line["thing"], line["files"], line["size"], line["done"]) for line in shown] == [("rows", 1, 100, False)]
    answer = site.run("gc", "--yes")
    assert answer.code == 0, answer.err
    assert "100 B were deleted" in answer.out
    assert len(lab.signals.Blink & other) == 1
    assert len(lab.signals.Blink & key) == 0
    assert "nothing to clear away" in site.run("gc").out
    database.execute(f"DELETE FROM {lab.signals.Blink.full_table_name}")


def test_rows_that_a_loader_is_about_to_commit_stay(site):
    lab, key = site.world.lab, site.world.insert_task()
    loader, gc = site.connect(site.world.settings), site.connect(site.world.settings)
    made = {"processing_time": "2026-01-31 12:00:00", "package_version": "1.0.8"}
    lab.element.FacemapProcessing.insert1(key | made, allow_direct_insert=True)
    rows = {
        lab.signals.Blink.full_table_name: key | {"roi_no": 1, "trace": b"\0"},
        lab.element.FacialSignal.full_table_name: key,
    }
    deleting = threading.Thread(target=lambda: delete_gone(gc, lab, str(lab.signals.Blink.table_name)))
    with loader.transaction():
        for table, row in rows.items():
            columns = ", ".join(map(loader.identifier, row))
            loader.execute(f"INSERT INTO {table} ({columns}) VALUES ({', '.join(['%s'] * len(row))})", (*row.values(),))
        deleting.start()
        eventually(lambda: not deleting.is_alive() or is_waiting(loader), "a delete that waits or is over")
    deleting.join(60)
    assert len(lab.signals.Blink & key) == 1
    site.world.database.execute(f"DELETE FROM {lab.signals.Blink.full_table_name}")


def is_waiting(database):
    """Tell whether a transaction waits for another's lock; PostgreSQL's don't here."""
    if database.backend == "postgresql":
        return False
    time.sleep(0.15)  # what InnoDB tells is renewed only if nobody asked for 0.1 s
    return database.query("SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'") != []


def test_a_job_without_a_run_is_stopped_unless_the_ledger_is_empty(site):
    site.behave("wait")
    key = site.world.insert_task()
    run = site.until(site.controller(), key, "launched")
    (job,) = site.launcher().observe()
    world = site.world
    tables = ("run__job", "run__attempt", "run")
    for table in tables:
        name = world.database.quote(world.database.ledger_schema, table)
        world.database.execute(f"DELETE FROM {name}")
    (line,) = [one for one in clear(site) if one.thing is Thing.JOBS]
    assert not line.goes
    assert "recover" in line.why
    assert site.launcher().observe()
    # with a run that the ledger knows, the other one's is nobody's
    _forget_bindings(world)
    other = site.world.insert_task()
    site.behave("publish")
    site.until(site.controller(site.world.settings), other, "published")
    clear(site)
    site.let_go()
    assert isinstance(site.launcher(), LocalLauncher)
    _until_gone(site, job.name)
    assert run.run_id not in {one.run_id for one in site.launcher().observe()}


def _forget_bindings(world):
    for tasks in world.lab.tables:
        binding = world.ledger.binding_table(world.lab.name, tasks.kind)
        world.database.execute(f"DELETE FROM {binding.name}")
    element = world.lab.element
    for table in (element.FacemapTask,):
        world.database.execute(f"DELETE FROM {table.full_table_name}")


def _until_gone(site, name):
    def gone():
        clear(site)
        return name not in {one.name for one in site.launcher().observe()}

    eventually(gone, f"the end of {name}")


def test_uploads_of_runs_that_are_over_go(site, superseded):
    _, folder, _ = superseded
    client = make_client(site.world.settings.storage.s3)
    bucket, _, key = folder.removeprefix("s3://").partition("/")
    upload = client.create_multipart_upload(Bucket=bucket, Key=f"{key}/pod-1/signals.h5")["UploadId"]
    client.upload_part(Bucket=bucket, Key=f"{key}/pod-1/signals.h5", UploadId=upload, PartNumber=1, Body=b"x" * 1000)
    (line,) = [one for one in clear(site) if one.thing is Thing.UPLOADS]
    assert (line.size, line.done) == (1000, True)
    assert not client.list_multipart_uploads(Bucket=bucket, Prefix=key).get("Uploads")
    client.close()


def test_a_shared_folder_is_cleared_by_the_command(site, tmp_path):
    root = tmp_path / "shared"
    root.mkdir()
    pipeline = site.world.settings.pipelines[0].model_copy(update={"processed_root": f"file://{root}"})
    storage = site.world.settings.storage
    storage = storage.model_copy(update={"file": storage.file.model_copy(update={"roots": (root,)})})
    settings = site.world.settings.model_copy(update={"pipelines": (pipeline,), "storage": storage})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(plain(settings)))
    site.behave("exit 10")
    key = site.world.insert_task()
    site.until(site.controller(settings), key, "failed")
    folder = Path(site.world.attempt_of(key).folder.removeprefix("file://"))
    pod = folder / "pod-1"
    pod.mkdir()
    (pod / "run.log").write_text("no")
    (pod / ".fmdj-0011223344556677.part").write_text("cut off")
    (folder.parent / "mine.txt").write_text("a person's own")
    loaded = root / "of-others"
    loaded.mkdir()
    (loaded / "cam_proc.npy").write_text("loaded")
    (pod / "facemap").mkdir()
    (pod / "facemap" / "main").symlink_to(loaded)
    database = site.world.database
    long_ago = dt.datetime(2020, 1, 1)
    sql = f"UPDATE {site.world.ledger.run_table} SET updated = %s"
    database.execute(sql, (long_ago,))
    assert site.run("gc", "-o", "json").json == []  # the files are young
    for path in (*folder.rglob("*"), loaded / "cam_proc.npy"):
        os.utime(path, (long_ago.timestamp(), long_ago.timestamp()), follow_symlinks=False)
    shown = {line["thing"] for line in site.run("gc", "-o", "json").json}
    assert shown == {"logs", "specs", "uploads"}
    assert {line["done"] for line in site.run("gc", "--yes", "-o", "json").json} == {True}
    assert not [path for path in folder.rglob("*") if path.is_file() and path.name != "cam_proc.npy"]
    assert (loaded / "cam_proc.npy").exists()
    assert (folder.parent / "mine.txt").exists()
    assert open_store(settings.storage) is not None
