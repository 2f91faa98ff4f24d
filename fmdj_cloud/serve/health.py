"""How a program is: what must happen again and again, and what can be looked at. Pure, but for its clock."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fmdj_cloud.settings import ServeSettings

Look = Callable[[], str | None]
"""Says in one sentence what is wrong; None or nothing if all is well. Must be quick: probes wait for it."""


class Probe(enum.StrEnum):
    """Who asks."""

    LIVE = "live"
    """Whether the program must be started anew."""
    READY = "ready"
    """Whether it does, or could do, what it is for."""


@dataclass(frozen=True)
class Report:
    """How a program is.

    Attributes
    ----------
    ok : bool
    problems : dict
        Name of what is wrong -> one sentence.
    notes : dict
        What else the program says of itself, such as whether it leads.
    """

    ok: bool
    problems: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


@dataclass
class _Beat:
    probe: Probe
    within_s: float
    since: float
    seen: bool = False


class Health:
    """What a program says of itself; it may be asked from any thread.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._beats: dict[str, _Beat] = {}
        self._looks: dict[str, tuple[Probe, Look]] = {}
        self._notes: dict[str, str] = {}

    def expect(self, name: str, within_s: float, probe: Probe = Probe.LIVE) -> None:
        """Announce that `name` will be beaten again and again.

        Parameters
        ----------
        name : str
        within_s : float
            Seconds after which its silence is a problem.
        probe : Probe
            Whose problem. A program is live from the start, but not ready before the first beat.
        """
        with self._lock:
            self._beats[name] = _Beat(probe, within_s, self._clock())

    def beat(self, name: str) -> None:
        """Note that `name` has just happened; what nobody expects is ignored."""
        with self._lock:
            if (beat := self._beats.get(name)) is not None:
                beat.since, beat.seen = self._clock(), True

    def check(self, name: str, look: Look, probe: Probe = Probe.READY) -> None:
        """Have `look` called whenever `probe` asks; what it raises is a problem, too."""
        with self._lock:
            self._looks[name] = probe, look

    def note(self, name: str, words: str) -> None:
        """Say something that is neither good nor bad."""
        with self._lock:
            self._notes[name] = words

    def report(self, probe: Probe) -> Report:
        """Return what is wrong in the eyes of `probe`."""
        with self._lock:
            now = self._clock()
            found = {name: _silence(name, beat, now) for name, beat in self._beats.items() if beat.probe is probe}
            looks = {name: look for name, (asks, look) in self._looks.items() if asks is probe}
            notes = dict(self._notes)
        for name, look in looks.items():  # outside the lock: one that hangs must not stop the beats
            found[name] = _seen(name, look)
        problems = {name: words for name, words in found.items() if words}
        return Report(ok=not problems, problems=problems, notes=notes)


def program_health(settings: ServeSettings, clock: Callable[[], float] = time.monotonic) -> Health:
    """Return the health of controller or loader: ``pass`` keeps it live, ``database`` makes it ready.

    Parameters
    ----------
    settings : ServeSettings
    clock : callable
        Monotonic seconds.
    """
    health = Health(clock)
    health.expect("pass", settings.silent_s, Probe.LIVE)
    health.expect("database", settings.recent_s, Probe.READY)
    return health


def _silence(name: str, beat: _Beat, now: float) -> str:
    silent = now - beat.since
    if not beat.seen and beat.probe is Probe.READY:
        return f"There has been no sign of the {name} yet."
    if silent > beat.within_s:
        return f"The last sign of the {name} was {silent:.0f} s ago, which should be {beat.within_s:.0f} s at most."
    return ""


def _seen(name: str, look: Look) -> str:
    try:
        return look() or ""
    except Exception as error:  # whatever it is, it is what is wrong
        return f"The check of {name} failed: {error!r}"
