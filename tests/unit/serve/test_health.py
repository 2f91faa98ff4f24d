"""Probes are answered from what has happened and when: no test waits."""

from __future__ import annotations

import pytest

from fmdj_cloud.serve import Health, Probe, program_health
from fmdj_cloud.settings import ServeSettings


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return program_health(ServeSettings(silent_s=900, recent_s=120), clock)


def test_a_program_that_has_just_started_is_live_and_not_ready(health: Health) -> None:
    assert health.report(Probe.LIVE).ok
    ready = health.report(Probe.READY)
    assert not ready.ok
    assert ready.problems == {"database": "There has been no sign of the database yet."}


def test_a_loop_that_comes_round_keeps_it_live(health: Health, clock: Clock) -> None:
    for _ in range(3):
        clock.now += 900
        health.beat("pass")
    assert health.report(Probe.LIVE).ok


def test_a_loop_that_hangs_is_told_with_its_silence(health: Health, clock: Clock) -> None:
    health.beat("pass")
    clock.now += 901
    report = health.report(Probe.LIVE)
    assert not report.ok
    assert report.problems == {"pass": "The last sign of the pass was 901 s ago, which should be 900 s at most."}


def test_a_loop_that_never_began_is_not_live_for_ever(health: Health, clock: Clock) -> None:
    clock.now += 901
    assert not health.report(Probe.LIVE).ok


def test_a_database_that_is_silent_costs_readiness_and_not_the_life(health: Health, clock: Clock) -> None:
    health.beat("database")
    assert health.report(Probe.READY).ok
    clock.now += 121
    health.beat("pass")
    assert not health.report(Probe.READY).ok
    assert health.report(Probe.LIVE).ok
    health.beat("database")
    assert health.report(Probe.READY).ok


def test_a_check_is_asked_by_its_probe_alone(health: Health) -> None:
    found = {"cache": "The cache is stale."}
    health.check("cache", lambda: found.get("cache"), Probe.LIVE)
    health.beat("database")
    assert health.report(Probe.LIVE).problems == found
    assert health.report(Probe.READY).ok
    del found["cache"]
    assert health.report(Probe.LIVE).ok


def test_a_check_that_fails_is_a_problem(health: Health) -> None:
    def broken() -> str:
        raise ValueError("no cache")

    health.beat("database")
    health.check("cache", broken)
    assert health.report(Probe.READY).problems == {"cache": "The check of cache failed: ValueError('no cache')"}


def test_a_check_may_beat(health: Health) -> None:
    """A check that uses the health itself finds it unlocked."""
    health.check("cache", lambda: health.beat("database"))
    health.report(Probe.READY)
    assert health.report(Probe.READY).ok


def test_beats_that_nobody_expects_are_ignored(health: Health) -> None:
    health.beat("moon")
    assert health.report(Probe.LIVE).ok


def test_notes_are_neither_good_nor_bad(health: Health) -> None:
    health.beat("database")
    health.note("role", "standing by")
    report = health.report(Probe.READY)
    assert report.ok
    assert report.notes == {"role": "standing by"}
