"""How long an API server takes to make or delete an object, as it was recorded.

Kubernetes' own load test (clusterloader2 on GCE) told, of 325 objects made: half within 26.9 ms, nine in ten within
48.5 ms, ninety-nine in a hundred within 1.44 s (kubernetes/perf-tests#1406). Between two of these the time is taken to
grow geometrically.
"""

from __future__ import annotations

import bisect
import random

from tests.support.kube.faults import Fault
from tests.support.kube.requests import Request

RECORDED = ((0.0, 0.010), (0.5, 0.0269), (0.9, 0.04845), (0.99, 1.4425), (1.0, 1.4425))
"""Share of requests -> seconds."""
_CHANGES = frozenset({"create", "update", "patch", "delete"})


def drawn(share: float) -> float:
    """Return how long the request takes that is as quick as that share of all, seconds."""
    at = max(1, bisect.bisect_left([one for one, _ in RECORDED], share))
    (low, quick), (high, slow) = RECORDED[at - 1], RECORDED[at]
    return quick * (slow / quick) ** ((share - low) / (high - low))


class Latency(Fault):
    """Every change takes as long as one of those recorded.

    Parameters
    ----------
    speed : float
        Seconds of the cluster in one of ours.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._chance = random.Random(0)
        self._speed = speed
        super().__init__(_is_change, "delay")

    @property
    def seconds(self) -> float:
        """Another one each time."""
        return drawn(self._chance.random()) / self._speed

    @seconds.setter
    def seconds(self, _: float) -> None:
        """It isn't told how long."""


def _is_change(request: Request) -> bool:
    return request.verb in _CHANGES
