"""What becomes of a reservation of ours, and what people are told of others'."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from fmdj_cloud.contracts import BindingRecord, BindingState, FailureClass, RunRecord, RunState
from fmdj_cloud.control.courtesy_words import Fate, error_of, fate_of, fate_of_refusal, told_of
from fmdj_cloud.pipeline.courtesy import JobStatus, Reservation, owner_of, refusal_of

NOW = dt.datetime(2026, 1, 31, 12)
RENEW_S = 300.0


def row(status: JobStatus = JobStatus.RESERVED, owner: str = "fmdj:svd-1", age_s: float = 0.0) -> Reservation:
    return Reservation("FacialSignal", "lab.~jobs", status, owner, "rig-3", 4711, age_s)


@pytest.mark.parametrize(
    ("state", "reserved", "error"),
    [
        (RunState.READY, Fate.KEEP, Fate.RELEASE),
        (RunState.LAUNCHED, Fate.KEEP, Fate.RELEASE),
        (RunState.PUBLISHED, Fate.KEEP, Fate.RELEASE),
        (RunState.LOADED, Fate.REMOVE, Fate.REMOVE),
        (RunState.FAILED, Fate.FAIL, Fate.KEEP),
        (RunState.HELD, Fate.RELEASE, Fate.RELEASE),
        (RunState.CANCELLED, Fate.RELEASE, Fate.RELEASE),
        (RunState.SUPERSEDED, Fate.REMOVE, Fate.REMOVE),
    ],
)
def test_a_row_goes_with_its_run(
    make_run: Callable[..., RunRecord], state: RunState, reserved: Fate, error: Fate
) -> None:
    run = make_run(state=state)
    assert fate_of(row(), run, RENEW_S) is reserved
    assert fate_of(row(JobStatus.ERROR), run, RENEW_S) is error


def test_a_run_that_the_ledger_does_not_know_may_be_another_installations() -> None:
    assert fate_of(row(age_s=3 * RENEW_S), None, RENEW_S) is Fate.KEEP
    assert fate_of(row(age_s=4000), None, RENEW_S) is Fate.RELEASE
    assert fate_of(row(age_s=4000), None, 3600) is Fate.KEEP


@pytest.mark.parametrize(
    ("state", "reserved", "error"),
    [
        (BindingState.REFUSED, Fate.FAIL, Fate.KEEP),
        (BindingState.PENDING, Fate.RELEASE, Fate.RELEASE),
        (BindingState.PLANNED, Fate.RELEASE, Fate.RELEASE),
        (BindingState.CANCELLED, Fate.RELEASE, Fate.RELEASE),
    ],
)
def test_a_refusal_goes_with_its_task(state: BindingState, reserved: Fate, error: Fate) -> None:
    binding = BindingRecord.model_construct(state=state)
    assert fate_of_refusal(row(), binding) is reserved
    assert fate_of_refusal(row(JobStatus.ERROR), binding) is error
    assert fate_of_refusal(row(JobStatus.ERROR, age_s=3000), None) is Fate.KEEP
    assert fate_of_refusal(row(JobStatus.ERROR, age_s=4000), None) is Fate.RELEASE


def test_rows_tell_runs_from_refusals() -> None:
    refusal = row(owner=owner_of(refusal_of("abc")))
    assert [one.refused for one in (refusal, row(), row(owner="alice@%"))] == ["abc", "", ""]


def test_an_error_says_what_people_see_elsewhere_too(make_run: Callable[..., RunRecord]) -> None:
    run = make_run(state=RunState.FAILED, failure_class=FailureClass.INPUT, sentence="The video is broken.")
    message, stack = error_of(run)
    assert message == "fmdj input: The video is broken."
    assert run.run_id in stack


def test_people_are_told_who_has_it_since_when_and_where() -> None:
    assert told_of(row(owner="alice@%", age_s=3600), NOW) == (
        "Left to somebody else: alice@% has reserved it for FacialSignal.populate() since 2026-01-31 11:00 UTC "
        "(process 4711 on rig-3), in lab.~jobs."
    )
    assert "marked it as to be ignored" in told_of(row(JobStatus.IGNORE, "alice@%"), NOW)
