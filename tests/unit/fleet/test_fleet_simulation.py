"""Pods on places: bounds that hold whatever the work is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmdj_cloud.control.fleet import simulate as module
from fmdj_cloud.control.fleet.simulate import Batch, Places, Step, simulate

QUICK = 1e6
"""Launches per second that bound nothing."""
seconds = st.floats(1, 1000)
steps = st.lists(st.builds(lambda pods, s: Step(pods, (s,)), st.integers(1, 5), seconds), min_size=1, max_size=3)
batches = st.lists(st.builds(lambda n, s: Batch(n, tuple(s), (0,)), st.integers(1, 20), steps), min_size=1, max_size=4)
single = st.lists(
    st.builds(lambda n, s: Batch(n, (Step(1, (s,)),), (0,)), st.integers(1, 20), seconds), min_size=1, max_size=4
)


def work(given_batches):
    return sum(b.number * step.pods * step.seconds[0] for b in given_batches for step in b.steps)


def longest(given_batches):
    return max(sum(step.seconds[0] for step in b.steps) for b in given_batches)


@given(batches, st.integers(1, 40))
def test_it_takes_no_less_than_the_work_and_the_longest_piece_and_no_more_than_all_in_a_row(found, places):
    course = simulate(found, [Places(places)], QUICK)
    slack = 1 + len(found) * 400 / QUICK
    assert course.seconds >= max(work(found) / places, longest(found)) - 1e-6
    assert course.seconds <= work(found) * slack + 1
    assert course.busy_s[0] == pytest.approx(work(found))
    assert course.peak[0] <= places
    assert course.launches == sum(b.number * len(b.steps) for b in found)


@given(single, st.integers(1, 20), st.integers(0, 20))
def test_more_places_never_take_longer(found, places, more):
    few = simulate(found, [Places(places)], QUICK).seconds
    assert simulate(found, [Places(places + more)], QUICK).seconds <= few + 1e-6


@given(single, st.integers(1, 20), seconds)
def test_places_that_come_later_take_longer_by_no_more_than_that(found, places, later):
    now = simulate(found, [Places(places)], QUICK).seconds
    then = simulate(found, [Places(places, later)], QUICK).seconds
    assert then == pytest.approx(now + later, abs=1e-2)


@given(st.integers(1, 200), seconds, st.integers(1, 50))
def test_equal_pods_go_in_waves(number, each, places):
    course = simulate([Batch(number, (Step(1, (each,)),), (0,))], [Places(places)], QUICK)
    assert course.seconds == pytest.approx(math.ceil(number / places) * each, abs=1e-2)


@given(st.integers(2, 200), st.floats(0.1, 50))
def test_launches_keep_to_their_rate(number, rate):
    course = simulate([Batch(number, (Step(1, (5.0,)),), (0,))], [Places(number)], rate)
    assert course.seconds == pytest.approx((number - 1) / rate + 5.0)


def test_a_step_begins_when_all_pods_of_the_one_before_have_ended():
    cut = Batch(1, (Step(1, (10.0,)), Step(4, (20.0,)), Step(1, (5.0,))), (0,))
    assert simulate([cut], [Places(4)], QUICK).seconds == pytest.approx(35.0, abs=1e-3)
    assert simulate([cut], [Places(2)], QUICK).seconds == pytest.approx(55.0, abs=1e-3)


def test_the_best_places_are_taken_first():
    found = Batch(3, (Step(1, (10.0, 100.0)),), (0, 1))
    course = simulate([found], [Places(2), Places(5)], QUICK)
    assert course.peak == (2, 1)


def test_places_of_a_type_that_pods_do_not_fit_stay_empty():
    course = simulate([Batch(3, (Step(1, (10.0, 10.0)),), (1,))], [Places(9), Places(1)], QUICK)
    assert course.peak == (0, 1)
    assert course.seconds == pytest.approx(30.0, abs=1e-3)


@settings(max_examples=20)
@given(st.integers(500, 3000), st.integers(1, 60))
def test_a_model_of_a_large_fleet_is_close_to_it(number, places):
    found = [Batch(number, (Step(1, (10.0,)),), (0,))]
    whole = simulate(found, [Places(places * 10)], QUICK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PODS_MAX", 300)
        model = simulate(found, [Places(places * 10)], QUICK)
    assert model.busy_s[0] == pytest.approx(whole.busy_s[0])
    assert model.launches == whole.launches
    # a wave more or less, and places that don't divide
    assert model.seconds == pytest.approx(whole.seconds, rel=0.35, abs=10.1)
