"""What is tried again, how often, when, and with how much more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.contracts import FailureClass, Limits, Outcome
from fmdj_cloud.control.profiles import Bounds
from fmdj_cloud.control.retry import Again, Final, limits_for, next_step
from fmdj_cloud.settings import RetrySettings

SETTINGS = RetrySettings()
BOUNDS = Bounds(memory_max_mib=4000, scratch_max_mib=4000)
FINAL = {"input", "config", "changed", "image", "unschedulable", "load"}
LIMITS = Limits(time_budget_s=60.0, memory_mib=1000, scratch_mib=1000, threads=1)


def step(failure: FailureClass, before: int = 0, *, limits: Limits = LIMITS, attempt: int = 1):
    outcome = Outcome(failure_class=failure, sentence="It broke.")
    return next_step(outcome, {failure.value: before}, limits, attempt, "svd-1", SETTINGS, BOUNDS)


@pytest.mark.parametrize("failure", [f for f in FailureClass if f.value in FINAL])
def test_what_trying_again_would_not_mend_is_final(failure):
    assert isinstance(step(failure), Final)


@pytest.mark.parametrize("failure", [f for f in FailureClass if f.value not in FINAL])
def test_the_rest_is_tried_again_so_often_and_no_more(failure):
    bound = getattr(RetrySettings(), failure.value)
    assert isinstance(step(failure, bound - 1), Again)
    last = step(failure, bound)
    assert isinstance(last, Final)
    assert f"Tried {bound + 1} times" in last.outcome.sentence


def test_classes_are_counted_apart():
    outcome = Outcome(failure_class=FailureClass.CRASH)
    assert isinstance(next_step(outcome, {"disrupted": 49, "storage": 5}, LIMITS, 55, "svd-1", SETTINGS, BOUNDS), Again)


def test_memory_is_retried_at_once_with_more():
    assert step(FailureClass.MEMORY) == Again(0.0)
    assert limits_for(LIMITS, {"memory": 1}, SETTINGS, BOUNDS).memory_mib == 1600
    assert limits_for(LIMITS, {"memory": 2}, SETTINGS, BOUNDS).memory_mib == 2560
    assert limits_for(LIMITS, {"memory": 3}, SETTINGS, BOUNDS).memory_mib == 4000


def test_memory_at_the_cap_is_final_with_the_figure():
    last = step(FailureClass.MEMORY, limits=LIMITS.model_copy(update={"memory_mib": 4000}))
    assert isinstance(last, Final)
    assert "more than 4000 MiB of memory" in last.outcome.sentence


def test_disk_grows_and_budget_doubles():
    grown = limits_for(LIMITS, {"disk": 1, "budget": 1}, SETTINGS, BOUNDS)
    assert (grown.scratch_mib, grown.time_budget_s, grown.memory_mib) == (2000, 120.0, 1000)


def test_waits_grow_up_to_a_bound_and_differ_between_runs():
    waits = [step(FailureClass.DISRUPTED, before).not_before_s for before in range(20)]
    assert 7.5 <= waits[0] <= 12.5
    assert waits[3] > 2 * waits[0]
    assert max(waits) <= 750
    other = next_step(Outcome(failure_class=FailureClass.DISRUPTED), {}, LIMITS, 1, "svd-2", SETTINGS, BOUNDS)
    assert other.not_before_s != waits[0]


def test_attempts_end_where_their_numbers_do():
    assert isinstance(step(FailureClass.DISRUPTED, attempt=999), Final)


@given(st.dictionaries(st.sampled_from([f.value for f in FailureClass]), st.integers(0, 10_000)), st.integers(1, 10**6))
def test_limits_never_exceed_the_caps_nor_overflow(failures, first):
    limits = limits_for(
        LIMITS.model_copy(update={"memory_mib": first, "scratch_mib": first}), failures, SETTINGS, BOUNDS
    )
    assert 0 < limits.memory_mib <= 4000
    assert 0 < limits.scratch_mib <= 4000
