"""What the controller decides about runs that populate() has in hand."""

from __future__ import annotations

import datetime as dt

import pytest

from fmdj_cloud.contracts import POPULATE, AttemptRecord, FailureClass, RunState, Wanted
from fmdj_cloud.control.actions import Cancel, Fail, Launch, Publish, Retry, Supersede
from fmdj_cloud.control.decide import RunView, decide
from fmdj_cloud.settings import ControllerSettings

NOW = dt.datetime(2026, 1, 31, 12)
SETTINGS = ControllerSettings(populate_silent_s=300, max_active=1)


@pytest.fixture
def view(make_run, make_limits):
    def build(silent_s=301.0, *, launcher=POPULATE, known=True, manifest=None, obsolete="", **run):
        values = {"state": RunState.LAUNCHED, "updated": NOW - dt.timedelta(seconds=silent_s)} | run
        attempt = AttemptRecord(
            run_id="svd-0123456789abcdef",
            attempt=1,
            folder="s3://lab/a1",
            spec_sha256="0" * 64,
            launcher=launcher,
            job_name="fmdj-svd-0123456789abcdef-a1",
            job_uid="rig-3/4711/1/machine/one",
            started=NOW,
            finished=None,
            outcome=None,
            sentence="",
            evidence={},
            limits=make_limits(),
        )
        return RunView(
            make_run(**values), attempt, None, manifest_known=known, manifest_sha256=manifest, obsolete=obsolete
        )

    return build


def actions(*views):
    return decide(views, (), {one.run.run_id: one.run for one in views}, SETTINGS, NOW)


@pytest.mark.parametrize(
    "changes",
    [{}, {"obsolete": "edited"}, {"wanted": Wanted.CANCEL}, {"wanted": Wanted.HOLD}, {"manifest": "ab" * 32}],
    ids=str,
)
def test_a_populate_that_shows_itself_is_left_alone(view, changes):
    assert actions(view(299.0, **changes)) == ()


def test_a_silent_one_gives_way_to_the_next_attempt_unless_it_shows_itself_meanwhile(view):
    (retry,) = actions(view())
    assert isinstance(retry, Retry)
    assert (retry.attempt, retry.silent_s, retry.outcome.failure_class) == (1, 300, FailureClass.DISRUPTED)
    assert "process 4711 on rig-3" in retry.outcome.sentence


def test_what_a_silent_one_had_published_counts(view):
    assert actions(view(manifest="ab" * 32)) == (Publish("svd-0123456789abcdef", 1, "ab" * 32),)


def test_nothing_is_decided_before_the_store_has_answered(view):
    assert actions(view(known=False)) == ()


def test_a_silent_one_that_nobody_wants_ends(view):
    assert isinstance(actions(view(obsolete="edited"))[0], Supersede)
    assert isinstance(actions(view(wanted=Wanted.CANCEL))[0], Cancel)


def test_populates_that_never_end_well_are_given_up(view):
    (fail,) = actions(view(failures={"disrupted": 50}))
    assert isinstance(fail, Fail)


def test_populates_take_none_of_the_controllers_places(view, make_run):
    ready = RunView(make_run(run_id="svd-1111111111111111"))
    assert actions(view(10.0), ready) == (Launch("svd-1111111111111111", 1),)
    assert actions(view(10.0, launcher="local", known=False), ready) == ()
