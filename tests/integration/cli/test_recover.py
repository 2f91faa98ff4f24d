"""A ledger that is gone, or old, is rebuilt; nothing is computed or loaded twice."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import JobPhase, RunState
from fmdj_cloud.pipeline.ledger import Ledger
from tests.support.kills.oracle import check_loaded
from tests.support.kills.world import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def site(own_site):
    own_site.real_workers = True
    return own_site


def lose_ledger(site):
    database = site.world.database
    cascade = "" if database.backend == "mysql" else " CASCADE"
    database.execute(f"DROP SCHEMA {database.identifier(database.ledger_schema)}{cascade}")


def pods(site, run):
    """Folders of pods that an attempt of a run ever had."""
    names = {info.uri.removeprefix(f"{run.output_dir}/") for info in site.world.store.list(f"{run.output_dir}/")}
    return {tuple(name.split("/")[:2]) for name in names if name.count("/") > 1}


def test_what_was_loaded_stays_what_was_published_is_loaded_and_a_job_that_runs_is_adopted(site):
    loaded = site.world.insert_task()
    site.until(site.controller(), loaded, "published")
    site.loader().run_pass()
    published = site.world.insert_task()
    site.until(site.controller(), published, "published")
    site.gate.mkdir()
    running = site.world.insert_task()
    site.until(site.controller(), running, "launched")
    eventually(lambda: (site.gate / "at-a1").exists(), "the worker at the gate")
    keys = (loaded, published, running)
    before, job = [site.world.run_of(key) for key in keys], site.world.attempt_of(running)
    lose_ledger(site)
    lines = {line["run_id"]: line for line in site.order("recover")}
    assert not any(line["done"] for line in lines.values())
    assert Ledger(site.world.database).runs() == []  # only shown
    answer = site.run("recover", "--yes")
    assert answer.code == 0, answer.err
    assert [lines[run.run_id]["state"] for run in before] == ["loaded", "published", "launched"]
    assert lines[before[2].run_id]["sentence"] == "Its Job is running."
    same = {"state", "attempt", "manifest_sha256", "content_digest", "param_digest", "output_dir", "task_digest"}
    for key, run in zip(keys, before, strict=True):
        assert site.world.run_of(key).model_dump(include=same) == run.model_dump(include=same)
    after = site.world.attempt_of(running)
    assert (after.job_uid, after.spec_sha256) == (job.job_uid, job.spec_sha256)
    assert site.launcher().observe()[0].phase is JobPhase.RUNNING
    assert site.order("recover") == []
    (site.gate / "go").touch()
    assert site.controller().drain(60)
    site.loader().run_pass()
    site.controller().run_pass()
    for key, run in zip(keys, before, strict=True):
        check_loaded(site.world, key)
        assert len(pods(site, run)) == 1


def test_an_attempt_of_which_only_the_spec_is_left_keeps_its_number(site):
    site.real_workers = False
    site.behave("wait", "publish")
    key = site.world.insert_task()
    run = site.until(site.controller(), key, "launched")
    for job in site.launcher().observe():
        site.launcher().stop(job.name)
    eventually(lambda: site.launcher().observe()[0].phase is JobPhase.ENDED, "the end of the Job")
    eventually(lambda: site.launcher().forget(f"fmdj-{run.run_id}-a1") or not site.launcher().observe(), "no Job")
    lose_ledger(site)
    (line,) = site.order("recover", "--yes")
    assert (line["state"], line["attempt"]) == ("ready", 2)
    assert site.until(site.controller(), key, "published").attempt == 2


def test_an_old_ledger_learns_what_it_missed(site):
    """As restored from a backup made when the run had just been launched."""
    site.real_workers = False
    first, second = site.world.insert_task(), site.world.insert_task()
    for key in (first, second):
        site.until(site.controller(), key, "published")
        site.pretend_loaded(key)
    site.end_lease()
    run, other = site.world.run_of(first), site.world.run_of(second)
    runs = site.world.ledger.run_table
    sql = f"UPDATE {runs} SET state = 'launched', manifest_sha256 = NULL WHERE run_id = %s"
    site.world.database.execute(sql, (run.run_id,))
    (line,) = site.order("recover", "--yes")
    assert (line["run_id"], line["state"]) == (run.run_id, "loaded")
    assert site.world.run_of(second) == other
    assert site.controller().run_pass().ended == 0
    assert site.world.run_of(first).state is RunState.LOADED


def test_a_controller_of_the_lost_ledger_acts_no_more(site):
    site.real_workers = False
    key = site.world.insert_task()
    old = site.controller()
    site.until(old, key, "published")
    epoch = old._leader.check()
    lose_ledger(site)
    site.order("recover", "--yes")
    assert site.world.ledger.acquire("another", 30) > epoch + 1000
    assert not old.run_pass().leading


def test_nothing_is_recovered_under_a_controller_that_leads(site):
    site.world.ledger.acquire("somebody", 600)
    answer = site.run("recover", "--yes")
    assert answer.code == 20
    assert "stop all controllers" in answer.err


def test_a_deleted_or_edited_task_gets_no_run_back(site):
    site.real_workers = False
    edited, deleted = site.world.insert_task(), site.world.insert_task()
    for key in (edited, deleted):
        site.until(site.controller(), key, "published")
    lose_ledger(site)
    (site.world.lab.element.FacemapTask & deleted).delete(prompt=False)
    site.world.lab.element.FacemapTask.update1(edited | {"facemap_params": {"sbin": 8}})
    assert site.order("recover", "--yes") == []
    run = site.until(site.controller(), edited, "published")
    assert run.state is RunState.PUBLISHED
