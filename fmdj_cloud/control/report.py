"""What one pass of the controller did."""

from __future__ import annotations

from collections import Counter

from fmdj_cloud.contracts import Frozen


class PassReport(Frozen):
    """What one pass did; counts are of tasks or runs."""

    leading: bool
    """Whether this controller led to the end of the pass; it does nothing unless it leads."""
    planned: int = 0
    waiting: int = 0
    """Planned in vain for now: an input isn't there, or the object store didn't answer."""
    refused: int = 0
    launched: int = 0
    published: int = 0
    retried: int = 0
    failed: int = 0
    ended: int = 0
    """Held, released, cancelled or superseded."""
    errors: tuple[str, ...] = ()
    """What went wrong this time and is tried again."""
    unknown_jobs: tuple[str, ...] = ()
    """Jobs whose runs the ledger doesn't know; they are left alone."""


class Tally:
    """Collects a report."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self.unknown_jobs: tuple[str, ...] = ()

    def report(self, *, leading: bool) -> PassReport:
        """Return the report."""
        return PassReport(leading=leading, **self.counts, errors=tuple(self.errors), unknown_jobs=self.unknown_jobs)
