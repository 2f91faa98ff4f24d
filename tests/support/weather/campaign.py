"""A few tasks on a stormy day: a schedule is played on real programs and the ways to their servers."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fmdj_cloud.contracts import BindingState, Kind, RunState
from fmdj_cloud.errors import ConfigError, DatabaseError, StorageError
from tests.support.kills.tripwire import Shot
from tests.support.kills.world import PIPELINE, Program
from tests.support.weather.lab import StormyLab
from tests.support.weather.proxy import FINE, Proxy
from tests.support.weather.schedule import PROCESSES, Event, Target

PATIENCE_S = 240.0
_ROLES = {Target.CONTROLLER: "controller", Target.LOADER: "loader"}
_UNREACHABLE = frozenset({ConfigError.exit_code, DatabaseError.exit_code, StorageError.exit_code})
"""What a program may end with that finds a server out of reach when it starts: who runs it starts it again."""
_FINAL = {"expire": ("config",), "corrupt": ("input", "load", "config")}
"""What runs may fail with for good, and only where this has happened: a person asks for them again."""


Arrival = tuple[float, Callable[[], object]]


@dataclass(frozen=True)
class Played:
    """An event, when it happened and to whom."""

    event: Event
    at_s: float
    whom: str

    def __str__(self) -> str:
        return f"{self.at_s:6.2f} s  {self.event}{f' -> {self.whom}' if self.whom else ''}"


class Campaign:
    """Plays events.

    Parameters
    ----------
    lab : StormyLab
    events : sequence of Event
    ways : mapping of Target to Proxy

    Attributes
    ----------
    played : list of Played
    """

    def __init__(self, lab: StormyLab, events: Sequence[Event], ways: Mapping[Target, Proxy]) -> None:
        self._lab = lab
        self._due = list(events)
        self._ways = ways
        self._live: dict[Target, Program] = {}
        self._ends: list[tuple[float, Callable[[], None]]] = []
        self._final = {failure for event in events for failure in _FINAL.get(event.kind, ())}
        self._began = time.monotonic()
        self.played: list[Played] = []

    def rage(self, arrivals: Sequence[Arrival], keys: Callable[[], Sequence[dict[str, Any]]]) -> None:
        """Play everything, and wait until all tasks are loaded; a person asks again for what failed for good.

        Parameters
        ----------
        arrivals : sequence of tuple
            Seconds after the start, and what inserts a task then.
        keys : callable
            Returns the tasks that are there.
        """
        coming = list(arrivals)
        for target in _ROLES:
            self._start(target)
        while coming or not self._is_over(keys()):
            while coming and coming[0][0] <= self._now:
                coming.pop(0)[1]()
            assert self._now < PATIENCE_S, f"not over after {PATIENCE_S:.0f} s\n{self.story()}"
            self._end_some()
            self._begin_some()
            for target in _ROLES:
                self._replace(target)
            time.sleep(0.05)

    def calm(self) -> None:
        """End the storm, whatever goes on."""
        for _, end in self._ends:
            end()
        self._ends = []
        for way in self._ways.values():
            way.mood = FINE

    def story(self) -> str:
        """Return all that helps to understand a failure."""
        return "\n".join([*map(str, self.played), *(f"to come: {event}" for event in self._due), self._lab.story()])

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began

    def _begin_some(self) -> None:
        while self._due and self._due[0].at_s <= self._now:
            event = self._due.pop(0)
            whom = self._signal(event) if event.target in PROCESSES else self._change(event)
            self.played.append(Played(event, self._now, whom))

    def _end_some(self) -> None:
        now = self._now
        for when, end in self._ends:
            if when <= now:
                end()
        self._ends = [(when, end) for when, end in self._ends if when > now]

    def _change(self, event: Event) -> str:
        way = self._ways[event.target]
        kind, _, code = event.kind.partition(" ")
        if kind == "cut":
            way.cut()
            return ""
        mood: dict[str, Any] = {
            "delay": {"delay_s": event.amount},
            "throttle": {"bytes_per_s": event.amount},
            "silence": {"silent": True},
            "refuse": {"refusing": True},
            "answer": {"status": int(code or 0), "matching": ""},
            "expire": {"status": 401, "matching": ""},
            "corrupt": {"corrupting": True},
        }[kind]
        way.change(**mood)

        def end() -> None:
            way.change(**{name: getattr(FINE, name) for name in mood})
            if kind == "silence":
                way.cut()  # nobody's connection outlives that

        self._ends.append((self._now + event.lasts_s, end))
        return ""

    def _signal(self, event: Event) -> str:
        """Send a signal to one that runs; nobody is left alone for ever because of one that is missing."""
        if event.target in _ROLES:
            program = self._live[event.target]
            if program.process.poll() is not None:
                return "nobody"
            pid, whom = program.pid, f"{program.role} {program.pid}"
            program.asked = program.asked or event.kind == "SIGTERM"
            if event.kind == "SIGKILL":
                program.shot = Shot("SIGKILL")
        else:
            ours = {program.pid for program in self._lab.programs}
            others = sorted((pid, what) for pid, what in self._lab.processes().items() if pid not in ours)
            if not others:
                return "nobody"
            pid, whom = others[int(event.at_s * 100) % len(others)]
            whom = f"{pid} {whom[:100]}"
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.Signals[event.kind])
        if event.kind == "SIGSTOP":
            self._ends.append((self._now + event.lasts_s, lambda: _go_on(pid)))
        return whom

    def _start(self, target: Target) -> None:
        self._live[target] = self._lab.start(_ROLES[target])

    def _replace(self, target: Target) -> None:
        program = self._live[target]
        if program.process.poll() is not None:
            self._judge(program)
            self._start(target)
        elif program.is_stopped:
            self._start(target)  # and the old one comes back beside it

    def _judge(self, program: Program) -> None:
        """See why a program has ended: the weather, or a signal, which may come before it is ready for one."""
        code = program.process.returncode
        started_in_vain = code in _UNREACHABLE and any(one.event.target not in PROCESSES for one in self.played)
        if not started_in_vain and not (program.asked and code == -signal.SIGTERM):
            program.check_end()
        program.asked = False

    def _is_refused(self, key: dict[str, Any]) -> bool:
        """Tell whether a task wasn't even planned, since a damaged header passed for no video's."""
        binding = self._lab.ledger.binding(PIPELINE, Kind.SVD, key)
        if binding is None or binding.state is not BindingState.REFUSED:
            return False
        assert self._final, f"{binding.sentence}\n{self.story()}"
        return True

    def _is_over(self, keys: Sequence[dict[str, Any]]) -> bool:
        runs = [self._lab.run_of(key) for key in keys]
        for key, run in zip(keys, runs, strict=True):
            if run is not None and run.state is RunState.FAILED:
                assert run.failure_class in self._final, f"{run.failure_class}: {run.sentence}\n{self.story()}"
                self._lab.retry(key)
            elif run is None and self._is_refused(key):
                self._lab.retry(key)
        if self._due or self._ends:
            return False
        return all(run is not None and run.state is RunState.LOADED for run in runs)


def _go_on(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
