"""What it costs that nodes are taken away: expectations, in closed form. Pure.

Nodes are taken away at a constant rate, whatever happened before; a pod that loses its node begins anew. After a
number of disruptions it goes where nothing is taken away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """What becomes of one pod, on average.

    Attributes
    ----------
    spot_s, on_demand_s : float
        How long it holds a place on nodes of each sort, seconds.
    tries : float
        Pods that are made for it.
    lost_s : float
        Of all that time, what came to nothing, seconds.
    """

    spot_s: float
    on_demand_s: float
    tries: float
    lost_s: float

    @property
    def total_s(self) -> float:
        """All of the time."""
        return self.spot_s + self.on_demand_s


def expected(seconds: float, interruptions_per_h: float, disruptions: int) -> Expected:
    """Return what becomes of a pod that takes so many seconds undisturbed.

    Parameters
    ----------
    seconds : float
        From its creation to its end, its own start included.
    interruptions_per_h : float
        How often a node is taken away.
    disruptions : int
        After so many it goes to an on-demand node.

    Notes
    -----
    With rate r and length L a try is cut off with probability p = 1 - exp(-r L), and lasts p / r on average. The number
    of spot tries is geometric, cut at `disruptions`: (1 - p^d) / (1 - p); with probability p^d a last try follows that
    nothing cuts off.
    """
    rate = interruptions_per_h / 3600
    if rate * seconds <= 1e-12:
        return Expected(seconds, 0.0, 1.0, 0.0)
    cut = -math.expm1(-rate * seconds)
    tries = sum(cut**number for number in range(disruptions))
    given_up = cut**disruptions
    spot_s, on_demand_s = tries * cut / rate, given_up * seconds
    return Expected(spot_s, on_demand_s, tries + given_up, max(0.0, spot_s + on_demand_s - seconds))
