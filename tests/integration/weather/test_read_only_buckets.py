"""A bucket that can be read and not written, for a while."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import FailureClass, RunState
from tests.support.kills import oracle
from tests.support.kills.world import eventually
from tests.support.weather.lab import StormyLab

pytestmark = pytest.mark.integration
WRITES = "^(PUT|POST|DELETE) "


@pytest.mark.parametrize("database_server", ["postgres"], indirect=True)
def test_a_spec_that_cannot_be_written_is_written_once_it_can_be(lab: StormyLab) -> None:
    lab.to_store.change(status=403, matching=WRITES)
    lab.start("controller")
    lab.start("loader")
    key = lab.insert_task()
    eventually(lambda: lab.to_store.answered > 2, "some refusals")
    assert lab.run_of(key).state is RunState.LAUNCHED

    lab.to_store.change(status=0)
    lab.until(key, RunState.LOADED)

    oracle.check_loaded(lab, key)
    oracle.check_clean(lab)
    assert lab.run_of(key).attempt == 1


@pytest.mark.parametrize("database_server", ["postgres"], indirect=True)
def test_outputs_that_cannot_be_written_are_computed_again_until_they_can_be(gated: StormyLab) -> None:
    lab = gated
    lab.through["s3"] |= {"max_attempts": 1}
    lab.start("controller", retry={"backoff_s": 0.1, "storage": 100})
    lab.start("loader")
    key = lab.insert_task()
    eventually((lab.folder / "gate" / "at-a1").exists, "the first worker")
    lab.to_store.change(status=503, matching=WRITES)
    (lab.folder / "gate" / "go").touch()
    eventually(lambda: "storage" in lab.outcomes(key), "a failure")

    lab.to_store.change(status=0)
    lab.until(key, RunState.LOADED)

    oracle.check_loaded(lab, key)
    oracle.check_clean(lab)
    assert set(lab.outcomes(key)) == {"storage", "published"}


@pytest.mark.parametrize("database_server", ["postgres"], indirect=True)
def test_a_right_that_is_missing_is_told_and_the_run_goes_on_when_it_is_retried(gated: StormyLab) -> None:
    lab = gated
    lab.start("controller")
    lab.start("loader")
    key = lab.insert_task()
    eventually((lab.folder / "gate" / "at-a1").exists, "the first worker")
    lab.to_store.change(status=403, matching=WRITES)
    (lab.folder / "gate" / "go").touch()
    run = lab.until(key, RunState.FAILED)
    assert run.failure_class is FailureClass.CONFIG
    assert "have the right to write there" in run.sentence

    lab.to_store.change(status=0)
    lab.retry(key)
    lab.until(key, RunState.LOADED)

    oracle.check_clean(lab)
    assert lab.outcomes(key) == ["config", "published"]
