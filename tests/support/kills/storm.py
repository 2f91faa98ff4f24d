"""A run of a few tasks under which programs and workers are shot at points that a seed chooses."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from typing import Any

from fmdj_cloud.contracts import RunState
from tests.support.kills import oracle
from tests.support.kills.tripwire import CALM, SIGNALS, Shot, Trip
from tests.support.kills.world import Program, World

_PAUSES_S = (0.2, 0.6, 1.8)
"""How long a stopped process stays so: less and more than a lease."""
_PATIENCE_S = 120.0
_ROLES = ("controller", "loader")
_LOST = (RunState.FAILED, RunState.CANCELLED, RunState.HELD, RunState.SUPERSEDED)
_LAST_STEP = {"controller": 160, "loader": 60}


def survive(world: World, seed: int, *, tasks: int = 2, shots: int = 3) -> list[Trip]:
    """Run tasks to their end under fire, and check that everything is as if nothing had happened.

    Parameters
    ----------
    world : World
    seed : int
        Decides who is shot at which step, with what, and for how long what was stopped stays so.
    tasks, shots : int
        Tasks at the start; controllers and loaders, each, that are armed. Workers draw their own.
    """
    world.environment["FMDJKILL_SEED"] = str(seed)
    keys = [world.insert_task() for _ in range(tasks)]
    _Storm(world, random.Random(seed), shots).rage(keys)
    # one more, in calm weather: nothing is stuck, and what only a later worker or loader clears away is gone
    (world.folder / CALM).touch()
    keys.append(world.insert_task())
    world.until(keys[-1], RunState.LOADED)
    for key in keys:
        oracle.check_loaded(world, key)
    oracle.check_clean(world)
    assert {run.state for run in world.ledger.runs()} == {RunState.LOADED}
    assert len(world.ledger.runs()) == len(keys)
    return world.trips()


class _Storm:
    def __init__(self, world: World, rng: random.Random, shots: int) -> None:
        self._world = world
        self._rng = rng
        self._left = dict.fromkeys(_ROLES, shots)
        self._live: dict[str, Program] = {}
        self._seen = 0
        self._stopped: list[tuple[float, int]] = []

    def rage(self, keys: list[dict[str, Any]]) -> None:
        give_up = time.monotonic() + _PATIENCE_S
        for role in _ROLES:
            self._start(role)
        while not self._is_over(keys):
            assert time.monotonic() < give_up, f"not over after {_PATIENCE_S:.0f} s\n{self._world.story()}"
            self._continue_some()
            for role in _ROLES:
                self._replace(role)
            time.sleep(0.08)

    def _start(self, role: str) -> None:
        shot = None
        if self._left[role]:
            self._left[role] -= 1
            shot = Shot(self._rng.choice(SIGNALS), self._rng.randint(1, _LAST_STEP[role]))
        self._live[role] = self._world.start(role, shot)

    def _replace(self, role: str) -> None:
        program = self._live[role]
        if program.process.poll() is not None:
            program.check_end()
            self._start(role)
        elif program.is_stopped:
            self._start(role)  # and the old one comes back beside it

    def _continue_some(self) -> None:
        now = time.monotonic()
        trips = self._world.trips()
        for trip in trips[self._seen :]:
            if trip.signal == "SIGSTOP":
                self._stopped.append((now + random.Random(str(trip.step)).choice(_PAUSES_S), trip.pid))
        self._seen = len(trips)
        for when, pid in self._stopped:
            if when <= now:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        self._stopped = [(when, pid) for when, pid in self._stopped if when > now]

    def _is_over(self, keys: list[dict[str, Any]]) -> bool:
        runs = [self._world.run_of(key) for key in keys]
        lost = [run.sentence for run in runs if run is not None and run.state in _LOST]
        assert not lost, f"{lost}\n{self._world.story()}"
        loaded = all(run is not None and run.state is RunState.LOADED for run in runs)
        return loaded and not self._stopped and not any(self._left.values()) and self._all_fired()

    def _all_fired(self) -> bool:
        shot = {trip.pid for trip in self._world.trips()}
        armed = (program for program in self._world.programs if program.shot is not None)
        return all(program.pid in shot or program.process.poll() is not None for program in armed)
