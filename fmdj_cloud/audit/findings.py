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
    ``numbering``, ``shape`` or ``values``."""
    table: str
    roi_no: int | None = None
    certainty: Certainty
    sentence: str
    remedy: str
    repair: Repair = Repair.NONE


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
    kept: str = ""
    """File that holds what was replaced."""
    note: str = ""
    """Why there are no files to compare with, or why nothing was repaired."""

    @property
    def sound(self) -> bool:
        """Whether nothing was found, or all was mended."""
        return self.repaired or not self.findings
