"""Interruptions, against counting them one by one."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.control.fleet.spot import expected

lengths = st.floats(1, 100_000)
rates = st.floats(0, 5)
limits = st.integers(0, 10)


@given(lengths, rates, limits)
def test_nothing_is_gained_and_lost_time_is_what_is_more(seconds, rate, disruptions):
    found = expected(seconds, rate, disruptions)
    assert found.total_s >= seconds * (1 - 1e-6)
    assert found.lost_s == pytest.approx(found.total_s - seconds, abs=1e-3 * seconds)
    assert 1 - 1e-9 <= found.tries <= disruptions + 1


@given(lengths, rates, rates, limits)
def test_more_interruptions_make_more_tries_within_bounds(seconds, one, more, disruptions):
    low, high = sorted((one, more))
    few, many = expected(seconds, low, disruptions), expected(seconds, high, disruptions)
    assert many.tries >= few.tries * (1 - 1e-6)
    assert many.on_demand_s >= few.on_demand_s * (1 - 1e-6)
    # time may shrink again: what is cut off sooner comes sooner to where nothing is
    assert many.total_s <= (disruptions + 1) * seconds * (1 + 1e-6)


@given(lengths, limits)
def test_without_interruptions_all_is_done_once_on_spot(seconds, disruptions):
    found = expected(seconds, 0.0, disruptions)
    assert (found.spot_s, found.on_demand_s, found.tries) == (seconds, 0.0, 1.0)


def test_without_patience_all_is_done_on_demand():
    found = expected(3600, 1.0, 0)
    assert (found.spot_s, found.on_demand_s) == (0.0, 3600.0)


@pytest.mark.parametrize(("seconds", "rate", "disruptions"), [(3600, 0.5, 3), (600, 2.0, 1), (7200, 1.0, 5)])
def test_the_formula_is_what_one_gets_by_counting(seconds, rate, disruptions):
    chance = random.Random(1)
    spot, on_demand = [], []
    for _ in range(20_000):
        held, last = 0.0, float(seconds)
        for _ in range(disruptions):
            until = chance.expovariate(rate / 3600)
            held += min(until, seconds)
            if until >= seconds:
                last = 0.0
                break
        spot.append(held)
        on_demand.append(last)
    found = expected(seconds, rate, disruptions)
    assert found.spot_s == pytest.approx(statistics.mean(spot), rel=0.03)
    assert found.on_demand_s == pytest.approx(statistics.mean(on_demand), rel=0.05)
