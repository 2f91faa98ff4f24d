"""What a quality check says."""

from __future__ import annotations

import enum

from fmdj_cloud.contracts import Frozen
from fmdj_cloud.signals_h5 import RegionInfo


class Verdict(enum.StrEnum):
    """What a check found."""

    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"
    FAIL = "fail"


class Check(Frozen):
    """One check of one region (or of the whole file, `roi_no` None)."""

    name: str
    roi_no: int | None = None
    verdict: Verdict
    value: float | str
    threshold: float | str
    sentence: str
    """Empty where it passed."""


def judge(
    name: str,
    region: RegionInfo | None,
    good: bool,
    value: float | str,
    threshold: float | str,
    sentence: str,
    *,
    otherwise: Verdict = Verdict.FAIL,
) -> Check:
    """Return the check that says pass if `good`, else `otherwise` with `sentence`."""
    return Check(
        name=name,
        roi_no=None if region is None else region.roi_no,
        verdict=Verdict.PASS if good else otherwise,
        value=value,
        threshold=threshold,
        sentence="" if good else sentence,
    )


def label(region: RegionInfo) -> str:
    """Return a region as people know it: ``region 2 (whisker)``."""
    return f"region {region.roi_no} ({region.name or region.kind})"
