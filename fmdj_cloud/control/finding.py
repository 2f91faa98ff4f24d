"""What a check of ``fmdj doctor`` says."""

from __future__ import annotations

import enum

from fmdj_cloud.contracts import Frozen


class Verdict(enum.StrEnum):
    """How a check went."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    NOT_APPLICABLE = "n/a"


class Finding(Frozen):
    """One check's verdict."""

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""


def judged(check: str, good: bool, found: str, remedy: str, otherwise: Verdict = Verdict.WARN) -> Finding:
    """Return a finding: ok if `good`, else the other verdict with its remedy."""
    return Finding(check=check, verdict=Verdict.OK if good else otherwise, found=found, remedy="" if good else remedy)
