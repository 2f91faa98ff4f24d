"""What befalls whom and when, drawn from a seed: pure, so that a seed is all that it takes to see a storm again."""

from __future__ import annotations

import enum
import random
from collections.abc import Sequence
from dataclasses import dataclass

SPAN_S = 12.0
"""All events begin within so long, seconds."""
LONGEST_S = 3.0
"""More than a lease of the labs that are stormed lasts."""


class Target(enum.StrEnum):
    """Whom an event befalls: the way to a server, or a process."""

    DATABASE = "database"
    STORE = "store"
    API = "api"
    CONTROLLER = "controller"
    LOADER = "loader"
    WORKER = "worker"


WAYS = (Target.DATABASE, Target.STORE, Target.API)
PROCESSES = (Target.CONTROLLER, Target.LOADER, Target.WORKER)
_TCP = ("delay", "throttle", "cut", "silence", "refuse")
_HTTP = ("answer 429", "answer 500", "answer 503", "expire")
_SIGNALS = ("SIGKILL", "SIGTERM", "SIGSTOP")
KINDS: dict[Target, tuple[str, ...]] = {
    Target.DATABASE: _TCP,
    Target.STORE: (*_TCP, *_HTTP, "corrupt"),
    Target.API: (*_TCP, *_HTTP),
    **dict.fromkeys(PROCESSES, _SIGNALS),
}
"""What can befall each. Bytes are corrupted where they carry a checksum: a database's or an API server's have TLS."""
_AMOUNTS: dict[str, tuple[float, float]] = {"delay": (0.02, 0.3), "throttle": (20_000.0, 400_000.0)}
"""Seconds of a delay; bytes per second."""


@dataclass(frozen=True, order=True)
class Event:
    """One thing that happens.

    Attributes
    ----------
    at_s : float
        Seconds after the start.
    target : Target
    kind : str
        One of the target's in :data:`KINDS`.
    lasts_s : float
        After so long it is over, or a stopped process goes on; 0 for what is over at once.
    amount : float
        Of a delay (seconds) or a throttle (bytes per second); else 0.
    """

    at_s: float
    target: Target
    kind: str
    lasts_s: float = 0.0
    amount: float = 0.0

    def __str__(self) -> str:
        lasts = f" for {self.lasts_s:.2f} s" if self.lasts_s else ""
        amount = f" ({self.amount:.6g})" if self.amount else ""
        return f"{self.at_s:6.2f} s  {self.target.value}: {self.kind}{amount}{lasts}"


def draw(seed: int, targets: Sequence[Target] = tuple(Target), number: int = 8) -> tuple[Event, ...]:
    """Return a seed's events, in the order in which they happen.

    Parameters
    ----------
    seed : int
    targets : sequence of Target
        Whom they may befall.
    number : int
        Of events.
    """
    rng = random.Random(seed)
    events = []
    for _ in range(number):
        target = rng.choice(list(targets))
        kind = rng.choice(KINDS[target])
        at_s = round(rng.uniform(0, SPAN_S), 2)
        lasts_s = 0.0 if kind in ("cut", "SIGKILL", "SIGTERM") else round(rng.uniform(0.1, LONGEST_S), 2)
        amount = rng.uniform(*_AMOUNTS[kind]) if kind in _AMOUNTS else 0.0
        events.append(Event(at_s, target, kind, lasts_s, amount))
    return tuple(sorted(events))
