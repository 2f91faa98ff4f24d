"""What one pass of the controller did."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection

from fmdj_cloud.contracts import Frozen

_log = logging.getLogger(__name__)


class PassReport(Frozen):
    """What one pass did; counts are of tasks or runs."""

    leading: bool
    """Whether this controller led to the end of the pass; it does nothing unless it leads."""
    planned: int = 0
    waiting: int = 0
    """Planned in vain for now: an input isn't there, or the object store didn't answer."""
    refused: int = 0
    launched: int = 0
    advanced: int = 0
    """Attempts that have come to their next stage."""
    published: int = 0
    retried: int = 0
    failed: int = 0
    ended: int = 0
    """Held, released, cancelled or superseded."""
    errors: tuple[str, ...] = ()
    """What went wrong this time and is tried again."""
    unknown_jobs: tuple[str, ...] = ()
    """Jobs whose runs the ledger doesn't know; they are left alone."""
    leaked_jobs: tuple[str, ...] = ()
    """Jobs that count as over although their pods may still run on machines that nobody reaches."""
    under_way: int = 0
    """What goes on by itself: attempts that run, and runs whose next attempt waits for its time."""
    unplanned: bool = False
    """Whether more tasks are pending than one pass plans."""

    @property
    def hurries(self) -> bool:
        """Whether the next pass begins at once: there is more to do, room for it, and nothing in the way."""
        return self.unplanned and self.launched > 0 and not self.errors

    @property
    def idle(self) -> bool:
        """Whether nothing was done and nothing goes on by itself."""
        done = (self.planned, self.refused, self.launched, self.advanced, self.published, self.retried)
        return not any((*done, self.failed, self.ended)) and not self.under_way


class Tally:
    """Collects a report.

    Parameters
    ----------
    told : collection of str
        Errors of the last pass: they are not logged again.
    """

    def __init__(self, told: Collection[str] = ()) -> None:
        self._told = frozenset(told)
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self.unknown_jobs: tuple[str, ...] = ()
        self.leaked_jobs: tuple[str, ...] = ()
        self.under_way = 0
        self.unplanned = False

    def trouble(self, sentence: str, *, unforeseen: bool = False) -> None:
        """Note what went wrong and is tried again; log it unless it went wrong in the last pass, too.

        Parameters
        ----------
        sentence : str
        unforeseen : bool
            Whether the exception that is being handled is logged with its traceback.
        """
        if sentence not in self._told and sentence not in self.errors:
            _log.log(logging.ERROR if unforeseen else logging.WARNING, "%s", sentence, exc_info=unforeseen)
        self.errors.append(sentence)

    def tell(self, done: bool, what: str, sentence: str) -> None:
        """Count and log what was done.

        Parameters
        ----------
        done : bool
            Whether it was us; else somebody was quicker, and nothing is counted.
        what : str
            A count of :class:`PassReport`.
        sentence : str
        """
        if done:
            self.counts[what] += 1
            _log.info("%s", sentence)
        else:
            _log.info("Somebody was quicker; not done: %s", sentence)

    def clear(self) -> None:
        """Forget what was counted and went wrong: it has been reported."""
        self.counts.clear()
        self.errors.clear()

    def add(self, other: Tally) -> None:
        """Count what `other` has counted, and what went wrong there."""
        self.counts += other.counts
        self.errors += other.errors

    def report(self, *, leading: bool) -> PassReport:
        """Return the report."""
        return PassReport(
            leading=leading,
            **self.counts,
            errors=tuple(self.errors),
            unknown_jobs=self.unknown_jobs,
            leaked_jobs=self.leaked_jobs,
            under_way=self.under_way,
            unplanned=self.unplanned,
        )
