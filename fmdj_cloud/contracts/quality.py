"""What quality control found in the outputs of a run."""

from __future__ import annotations

import datetime as dt
import enum

from fmdj_cloud.contracts.base import Frozen


class Verdict(enum.StrEnum):
    """What a check of outputs found."""

    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"
    """It is loaded, and flagged."""
    FAIL = "fail"
    """It isn't loaded until a person accepts the check by name."""


class QualityFinding(Frozen):
    """What one check found in one part of some outputs."""

    check: str
    """Its name: what ``fmdj retry KEY --accept`` takes, where it may be accepted."""
    part: str = ""
    """What was looked at: ``region 2 motion``, ``view 0 nose``; empty for the whole file."""
    roi_no: int | None = None
    """As in FacialSignal.Region, where it is about one."""
    value: float | None
    """What was found, finite; None where that is no number."""
    threshold: float | None
    """What it is judged by; None where that is no number, or where there is no limit."""
    verdict: Verdict
    accepted: bool = False
    """Whether it failed, and a person had accepted that by name: the verdict is a warning then."""
    sentence: str
    """What is wrong and what to do; where it passed what was counted, or nothing."""


class QualityCheck(QualityFinding):
    """A row of the ledger's Quality table: what one check found in a run's outputs."""

    run_id: str
    attempt: int
    """Whose outputs were looked at."""
    checked: dt.datetime
