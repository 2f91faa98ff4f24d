"""Leadership of this process: acquired per pass, renewed between actions.

Renewal happens between actions and not in a thread of its own: a controller that hangs must lose its lease, so
that another takes over. An action that outlasts the lease is harmless: every state change is fenced by the epoch,
Jobs have deterministic names, and specs are the same bytes whoever writes them.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable
from typing import Protocol

from fmdj_cloud.errors import LostRaceError
from fmdj_cloud.pipeline.ledger import Ledger


class LeadershipLostError(LostRaceError):
    """Another controller leads, or nobody knows: this pass must not act any more."""

    code = "leadership_lost"


def new_holder() -> str:
    """Return a name for this process that no other has."""
    return f"{socket.gethostname()[:60]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Elector(Protocol):
    """Elects among controllers; without one, the ledger's own row does."""

    @property
    def holder(self) -> str:
        """Name of this process, which no other has."""
        ...

    def hold(self) -> bool:
        """Become the leader, or stay it; False if another leads, or if nobody can say."""
        ...

    def release(self) -> None:
        """Let another lead at once; idempotent."""
        ...


class Leader:
    """This process as a candidate.

    Parameters
    ----------
    ledger : Ledger
    holder : str
        Name that no other process has.
    lease_s, renew_s : float
        How long leadership lasts, and how often it is renewed.
    clock : callable
        Monotonic seconds; only says when to renew. Leases go by the database's clock.
    elector : Elector, optional
        Who decides instead of the ledger's row, whose epoch whoever was elected raises before acting.
    """

    def __init__(
        self,
        ledger: Ledger,
        holder: str,
        *,
        lease_s: float,
        renew_s: float,
        clock: Callable[[], float],
        elector: Elector | None = None,
    ) -> None:
        self._ledger = ledger
        self._holder = holder
        self._lease_s = lease_s
        self._renew_s = renew_s
        self._clock = clock
        self._elector = elector
        self._epoch: int | None = None
        self._renewed = 0.0

    @property
    def holder(self) -> str:
        """Name of this process."""
        return self._holder

    def lead(self) -> bool:
        """Become the leader, or stay it; False if another leads."""
        asked = self._clock()
        if self._elector is not None and self._epoch is not None and asked - self._renewed < self._renew_s:
            return True  # passes may be frequent, and the API server is everybody's
        if self._elector is None:
            self._epoch = self._ledger.acquire(self._holder, self._lease_s)
        elif not self._elector.hold():
            self._epoch = None
        elif self._epoch is None or not self._ledger.renew(self._holder, self._epoch, self._lease_s):
            # elected: whoever led before is over, whatever its row says
            self._epoch = self._ledger.take_over(self._holder, self._lease_s)
        self._renewed = asked
        return self._epoch is not None

    def check(self) -> int:
        """Return the epoch to act under; call it before every action.

        Raises
        ------
        LeadershipLostError
            If this process leads no more.
        """
        if self._epoch is None:
            raise LeadershipLostError("This controller doesn't lead.")
        asked = self._clock()
        if asked - self._renewed >= self._renew_s:
            elected = self._elector is None or self._elector.hold()
            if not elected or not self._ledger.renew(self._holder, self._epoch, self._lease_s):
                self._epoch = None
                raise LeadershipLostError("Leadership was lost: another controller goes on.")
            self._renewed = asked
        return self._epoch

    def resign(self) -> None:
        """Let another lead at once; idempotent."""
        if self._epoch is not None:
            self._ledger.resign(self._holder, self._epoch)
            self._epoch = None
        if self._elector is not None:
            self._elector.release()
