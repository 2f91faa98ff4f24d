"""What the workers say of the attempts that run: a few of them at a time."""

from __future__ import annotations

from collections.abc import Collection

from fmdj_cloud.contracts import Progress, RunState
from fmdj_cloud.control.progress import read_progress
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.storage import Store

_AT_A_TIME = 50
_FRESH_S = 15.0
"""Workers write so often."""


class ProgressReader:
    """Remembers how far attempts are.

    Parameters
    ----------
    ledger : Ledger
    store : Store
    """

    def __init__(self, ledger: Ledger, store: Store) -> None:
        self._ledger = ledger
        self._store = store
        self._known: dict[str, Progress] = {}
        self._read: dict[str, float] = {}

    def read(self, run_ids: Collection[str], now: float) -> dict[str, Progress]:
        """Return what is known of launched runs, after a look at those not looked at for longest.

        Parameters
        ----------
        run_ids : collection of str
            All whose progress matters; others are forgotten.
        now : float
            Monotonic seconds.
        """
        wanted = set(run_ids)
        self._known = {name: said for name, said in self._known.items() if name in wanted}
        self._read = {name: when for name, when in self._read.items() if name in wanted}
        stale = [name for name in wanted if now - self._read.get(name, -_FRESH_S) >= _FRESH_S]
        stale.sort(key=lambda name: (self._read.get(name, -float("inf")), name))
        for run in self._ledger.runs_by_id(stale[:_AT_A_TIME]):
            self._read[run.run_id] = now
            said = read_progress(self._store, run) if run.state is RunState.LAUNCHED else None
            if said is not None and said.attempt == run.attempt:
                self._known[run.run_id] = said
            else:
                self._known.pop(run.run_id, None)
        return dict(self._known)
