"""Tasks that are deleted and come back while they run, and inputs that go."""

from __future__ import annotations

from typing import Any

import pytest

from fmdj_cloud.contracts import FailureClass, RunState
from tests.support.kills import oracle
from tests.support.kills.world import eventually
from tests.support.weather.lab import StormyLab

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("database_server", ["postgres"], indirect=True)]


def _taken_out(lab: StormyLab, key: dict[str, Any]) -> dict[str, Any]:
    """Delete a task as a lab does, and return its row."""
    table = lab.lab.element.FacemapTask & key
    (row,) = table.to_dicts()
    table.delete(prompt=False)
    return row


def _running(lab: StormyLab) -> dict[str, Any]:
    lab.start("controller")
    lab.start("loader")
    key = lab.insert_task()
    eventually((lab.folder / "gate" / "at-a1").exists, "the worker")
    return key


def test_a_task_that_is_deleted_and_inserted_as_it_was_is_loaded_once(gated: StormyLab) -> None:
    lab = gated
    key = _running(lab)
    row = _taken_out(lab, key)
    lab.lab.element.FacemapTask.insert1(row)
    (lab.folder / "gate" / "go").touch()

    lab.until(key, RunState.LOADED)

    oracle.check_loaded(lab, key)
    oracle.check_clean(lab)


def test_a_task_that_is_gone_for_a_while_is_stopped_and_loaded_once_it_is_back(gated: StormyLab) -> None:
    lab = gated
    key = _running(lab)
    run = lab.run_of(key)
    row = _taken_out(lab, key)
    eventually(lambda: lab.ledger.run(run.run_id).state is RunState.SUPERSEDED, "the end of the run")
    lab.lab.element.FacemapTask.insert1(row)
    (lab.folder / "gate" / "go").touch()

    lab.until(key, RunState.LOADED)

    assert lab.run_of(key).run_id == run.run_id
    assert lab.outcomes(key)[-1] == "published"
    assert len(lab.lab.element.FacialSignal & key) == len(lab.lab.element.FacemapProcessing & key) == 1
    oracle.check_clean(lab)


def test_a_task_that_comes_back_with_other_parameters_is_computed_with_them(gated: StormyLab) -> None:
    lab = gated
    key = _running(lab)
    first = lab.run_of(key)
    row = _taken_out(lab, key)
    lab.lab.element.FacemapTask.insert1(row | {"facemap_params": {"sbin": 8}})
    eventually(lambda: lab.run_of(key).run_id != first.run_id, "the new plan")
    (lab.folder / "gate" / "go").touch()

    lab.until(key, RunState.LOADED)

    oracle.check_loaded(lab, key)
    oracle.check_clean(lab)
    assert lab.ledger.run(first.run_id).state is RunState.SUPERSEDED


def test_a_task_that_is_deleted_for_good_leaves_nothing_behind(gated: StormyLab) -> None:
    lab = gated
    key = _running(lab)
    run = lab.run_of(key)
    _taken_out(lab, key)
    (lab.folder / "gate" / "go").touch()

    eventually(lambda: lab.ledger.run(run.run_id).state is RunState.SUPERSEDED, "the end of the run")
    other = lab.insert_task()  # its worker clears away what one that had to be killed has left
    lab.until(other, RunState.LOADED)

    assert not len(lab.lab.element.FacemapProcessing & key)
    assert not len(lab.lab.element.FacialSignal & key)
    oracle.check_clean(lab)


def test_an_input_that_a_lifecycle_rule_deleted_is_named_and_computed_once_it_is_back(lab: StormyLab) -> None:
    lab.to_store.change(status=503, matching=r"^PUT \S*/spec\.json")  # planned, and no worker can start
    lab.through["s3"] |= {"max_attempts": 1}
    lab.start("controller")
    lab.start("loader")
    key = lab.insert_task()
    lab.until(key, RunState.LAUNCHED)
    uri = f"{lab.bucket}/videos/rec1/cam.avi"
    video = lab.store.get_bytes(uri, max_bytes=1 << 20)
    lab.store.delete(uri)
    lab.to_store.change(status=0)

    run = lab.until(key, RunState.FAILED)
    assert run.failure_class is FailureClass.INPUT
    assert uri in run.sentence

    lab.store.put_bytes(uri, video)
    lab.retry(key)
    lab.until(key, RunState.LOADED)
    oracle.check_clean(lab)
    assert len(lab.lab.element.FacialSignal & key) == 1


def test_an_input_that_goes_once_it_was_fetched_is_not_missed(gated: StormyLab) -> None:
    lab = gated
    key = _running(lab)
    lab.store.delete(f"{lab.bucket}/videos/rec1/cam.avi")
    (lab.folder / "gate" / "go").touch()

    lab.until(key, RunState.LOADED)

    oracle.check_loaded(lab, key)
    oracle.check_clean(lab)
