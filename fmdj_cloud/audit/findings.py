"""What an audit says: what is wrong with a key's rows, how sure that is, and what to do."""

from __future__ import annotations

import enum

from fmdj_cloud.contracts import Frozen


class Certainty(enum.StrEnum):
    """How sure a finding is."""

    CERTAIN = "certain"
    """The rows contradict their file, or each other, in a way that nothing but the fault explains."""
    LIKELY = "likely"
    POSSIBLE = "possible"
    """Something else may explain it: look."""


class Repair(enum.StrEnum):
    """What mends a finding."""

    RELOAD = "reload"
    """The rows are replaced by what the files hold."""
    DURATION = "duration"
    """RecordingInfo's duration is computed anew from its frames and rate."""
    RENUMBER = "renumber"
    """As RELOAD, and numbers of regions change, which other tables and scripts may know: only when asked for."""
    NONE = ""


class Finding(Frozen):
    """One thing that is wrong with a key's rows."""

    check: str
    """``length``, ``axis``, ``motion_roi``, ``svd_table``, ``duration``, ``frames``, ``running``, ``alignment``,
    ``numbering``, ``shape``, ``values``, ``missing`` or ``unreadable``."""
    table: str
    roi_no: int | None = None
    certainty: Certainty
    sentence: str
    remedy: str
    repair: Repair = Repair.NONE

    @property
    def is_fault(self) -> bool:
        """Whether it is at least likely that something is wrong: numbers of regions are a convention."""
        return self.certainty is not Certainty.POSSIBLE and self.check != "numbering"


class KeyReport(Frozen):
    """All that is said of one key's rows."""

    pipeline: str
    table: str
    """Class name of the task table."""
    task: str
    """The key as people type it."""
    against: str
    """What the rows were compared with: a file, or ``themselves``."""
    findings: tuple[Finding, ...] = ()
    repaired: bool = False
    """Whether rows were replaced, and no fault is left."""
    kept: str = ""
    """File that holds what was replaced."""
    left: tuple[Finding, ...] = ()
    """Of the findings, those that are there after a repair, and new ones."""
    note: str = ""
    """Why there are no files to compare with, or why nothing was repaired."""

    @property
    def sound(self) -> bool:
        """Whether nothing was found, or all was mended."""
        return self.repaired or not self.findings

    @property
    def faulty(self) -> bool:
        """Whether a fault is left."""
        return any(finding.is_fault for finding in (self.left if self.kept else self.findings))
