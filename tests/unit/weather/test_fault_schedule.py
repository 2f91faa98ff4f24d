"""Schedules of faults follow from their seed alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.weather.schedule import KINDS, LONGEST_S, PROCESSES, SPAN_S, Target, draw

SEEDS = st.integers(min_value=0, max_value=2**32 - 1)
TARGETS = st.lists(st.sampled_from(list(Target)), min_size=1, unique=True)


@given(seed=SEEDS, targets=TARGETS, number=st.integers(0, 30))
def test_a_seed_says_it_all(seed: int, targets: list[Target], number: int) -> None:
    events = draw(seed, targets, number)

    assert events == draw(seed, targets, number)
    assert len(events) == number
    assert list(events) == sorted(events, key=lambda event: event.at_s)


@given(seed=SEEDS, targets=TARGETS)
def test_every_event_is_one_that_can_befall_its_target_and_ends(seed: int, targets: list[Target]) -> None:
    for event in draw(seed, targets):
        assert event.target in targets
        assert event.kind in KINDS[event.target]
        assert 0 <= event.at_s <= SPAN_S
        assert 0 <= event.lasts_s <= LONGEST_S
        assert (event.lasts_s > 0) == (event.kind not in ("cut", "SIGKILL", "SIGTERM"))
        assert (event.amount > 0) == (event.kind in ("delay", "throttle"))


def test_everything_that_can_happen_does_for_some_seed() -> None:
    seen = {(event.target, event.kind) for seed in range(200) for event in draw(seed)}

    assert seen == {(target, kind) for target, kinds in KINDS.items() for kind in kinds}


def test_signals_are_for_processes_and_nothing_else() -> None:
    assert {kind for target in PROCESSES for kind in KINDS[target]} == {"SIGKILL", "SIGTERM", "SIGSTOP"}
