"""When outputs of a task with equal content are not taken, and what becomes of those that were."""

from __future__ import annotations

from typing import Any

import pytest

from fmdj_cloud.contracts import REUSE, FailureClass, Kind, Manifest, Outcome, RunState
from fmdj_cloud.control.orders import Order
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.settings import DatabaseSettings

from .conftest import MakeSite, Site
from .reusing import VIDEO, computed, outputs_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """One kind of server: what differs between them is tested on all."""
    return postgres_settings


def test_outputs_that_are_taken_may_be_taken_on(site: Site) -> None:
    first = site.add_task(video=VIDEO)
    site.settle()
    site.add_task(video=VIDEO)
    site.settle()
    site.bench.database.execute(
        f"UPDATE {site.bench.ledger.run_table} SET updated = '2000-01-01' WHERE run_id = %s",
        (site.bench.run_of(first).run_id,),
    )
    third = site.add_task(video=VIDEO)
    site.settle()
    manifest = Manifest.model_validate_json((outputs_of(site, third) / "manifest.json").read_bytes())
    assert manifest.reused_from == f"file://{outputs_of(site, first)}"
    assert computed(site) == 1


def test_switched_off_everything_is_computed(make_site: MakeSite) -> None:
    site = make_site(reuse=False)
    for _ in range(2):
        site.add_task(video=VIDEO)
    site.settle()
    assert computed(site) == 2


def test_what_is_to_be_computed_anew_is(site: Site) -> None:
    site.add_task(video=VIDEO)
    site.settle()
    second = site.add_task(video=VIDEO)
    site.settle()
    site.delete_result(second)
    site.bench.recompute(second)
    site.settle()
    assert site.bench.times_computed(second) == 1
    assert site.bench.run_of(second).state is RunState.LOADED
    assert [a.launcher for a in site.bench.ledger.attempts(site.bench.run_of(second).run_id)] == [REUSE, "local"]


def test_outputs_that_vanish_before_they_are_loaded_are_missed_and_computed_when_retried(site: Site) -> None:
    first = site.add_task(video=VIDEO)
    site.settle()
    second = site.add_task(video=VIDEO)
    site.bench.step()
    (outputs_of(site, first) / "n1" / "signals.h5").unlink()
    (result,) = site.bench.load()
    assert result.end is LoadEnd.FAILED
    assert "signals.h5 is gone since it was published: retry the run to compute it again" in result.sentence
    site.bench.order(Order.RETRY, second)
    site.settle()
    assert site.bench.times_computed(second) == 1
    assert site.bench.run_of(second).state is RunState.LOADED


def test_results_that_are_deleted_are_computed_when_the_others_outputs_are_gone(site: Site) -> None:
    first = site.add_task(video=VIDEO)
    site.settle()
    second = site.add_task(video=VIDEO)
    site.settle()
    (outputs_of(site, first) / "n1" / "signals.h5").unlink()
    site.delete_result(second)
    site.settle()
    assert site.bench.times_computed(second) == 1
    assert site.bench.run_of(second).state is RunState.LOADED


def test_outputs_that_were_altered_are_not_loaded(site: Site) -> None:
    first = site.add_task(video=VIDEO)
    site.settle()
    file = outputs_of(site, first) / "n1" / "signals.h5"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    site.add_task(video=VIDEO)
    site.bench.step()
    (result,) = site.bench.load()
    assert result.end is LoadEnd.FAILED
    assert "isn't the file that was published" in result.sentence


def test_the_second_goes_on_by_itself_if_the_first_fails(site: Site) -> None:
    keys = [site.add_task(video=VIDEO) for _ in range(2)]
    site.bench.jobs.ends = Outcome(failure_class=FailureClass.CONFIG, sentence="Something is wrong with this one.")
    site.bench.step()
    assert computed(site) == 1
    site.bench.jobs.ends = None
    site.settle(passes=3)
    assert computed(site) == 2
    assert {site.bench.run_of(key).state for key in keys} == {RunState.FAILED, RunState.LOADED}


def test_what_was_computed_under_an_overridden_check_is_not_taken(site: Site) -> None:
    first = site.add_task(video=VIDEO)
    task = site.bench.lab().tasks(Kind.SVD).get(first)
    assert task is not None
    site.bench.ledger.accept(task, ["bad_frames"], "somebody")
    site.settle()
    second = site.add_task(video=VIDEO)
    site.settle()
    assert site.bench.times_computed(second) == 1


def test_a_controller_that_dies_before_the_manifest_leaves_a_run_that_is_computed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_task(video=VIDEO)
    site.settle()
    second = site.add_task(video=VIDEO)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("fmdj_cloud.control.reuse.commit_manifest", die)
        with pytest.raises(KeyboardInterrupt):
            site.bench.step()
    assert site.bench.run_of(second).state is RunState.LAUNCHED
    site.bench.restart()
    site.settle()
    assert site.bench.times_computed(second) == 1
    assert site.bench.run_of(second).state is RunState.LOADED


def test_outputs_are_not_taken_for_a_task_that_somebody_else_has_in_hand(site: Site) -> None:
    site.add_task(video=VIDEO)
    site.settle()
    second = site.add_task(video=VIDEO)
    table = site.elements[0].FacemapProcessing()
    table.jobs.refresh(delay=-1)
    assert table.jobs.reserve(second)
    site.bench.step()
    assert site.bench.explain(second).state == "waiting"
