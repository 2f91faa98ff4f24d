"""What a quality check says."""

from __future__ import annotations

import math
from collections.abc import Iterable

from fmdj_cloud.contracts import QualityFinding, Verdict
from fmdj_cloud.errors import LoadError
from fmdj_cloud.settings import Threshold
from fmdj_cloud.signals_h5 import RegionInfo
from fmdj_cloud.telemetry import QUALITY

_ONCE = frozenset(
    {"regions", "summary", "frames", "components", "nan", "norm", "pose_view", "body_parts", "likelihood"}
)
"""Checks of every dataset: one that passed everywhere is kept once, where it came closest to its limit."""


class QualityError(LoadError):
    """Quality control keeps outputs from being loaded.

    Parameters
    ----------
    sentence : str
        One sentence that names the thing, the value, the limit and the remedy.
    check : str
        Name of the check that failed.
    findings : iterable of QualityFinding
        Of all checks.
    """

    def __init__(self, sentence: str, *, check: str, findings: Iterable[QualityFinding]) -> None:
        super().__init__(sentence, check=check)
        self.findings = tuple(findings)


def judge(
    check: str,
    region: RegionInfo | None,
    good: bool,
    value: float | str,
    threshold: float | str,
    sentence: str,
    *,
    what: str = "",
    otherwise: Verdict = Verdict.FAIL,
) -> QualityFinding:
    """Return the finding that says pass if `good`, else `otherwise` with `sentence`.

    Parameters
    ----------
    check : str
    region : RegionInfo or None
        None for the whole file.
    good : bool
    value, threshold : float or str
        Kept where they are finite numbers; the sentence tells the others.
    sentence : str
    what : str
        What of the region, or of the file, was looked at.
    otherwise : Verdict
    """
    return QualityFinding(
        check=check,
        part=(what if region is None else f"region {region.roi_no} {what}").strip(),
        roi_no=None if region is None else region.roi_no,
        verdict=Verdict.PASS if good else otherwise,
        value=_number(value),
        threshold=_number(threshold),
        sentence="" if good else sentence,
    )


def grade(
    check: str,
    region: RegionInfo | None,
    value: float,
    limits: Threshold,
    sentence: str,
    *,
    what: str = "",
    may_fail: bool = True,
) -> QualityFinding:
    """Return the finding of a value of which more is worse.

    Parameters
    ----------
    check : str
    region : RegionInfo or None
    value : float
    limits : Threshold
    sentence : str
        ``{limit}`` in it stands for the limit that the value is above.
    what : str
    may_fail : bool
        Whether a value above ``fail`` keeps outputs from being loaded, or is flagged like one above ``warn``.
    """
    failed = limits.fail is not None and value > limits.fail
    flagged = limits.warn is not None and value > limits.warn
    limit = limits.fail if failed or limits.warn is None else limits.warn
    verdict = Verdict.FAIL if failed and may_fail else Verdict.WARN if failed or flagged else Verdict.PASS
    return judge(
        check,
        region,
        verdict is Verdict.PASS,
        value,
        math.nan if limit is None else limit,
        sentence.replace("{limit}", "no more" if limit is None else f"{limit:g}"),
        what=what,
        otherwise=verdict,
    )


def condensed(findings: Iterable[QualityFinding]) -> tuple[QualityFinding, ...]:
    """Return what is worth keeping: all that didn't pass, and of checks of every dataset one row if they passed.

    A check keeps its place, so that the order is that in which was looked.
    """
    closest: dict[str, QualityFinding] = {}
    kept: list[QualityFinding] = []
    for finding in findings:
        if finding.check not in _ONCE or finding.verdict is not Verdict.PASS:
            kept.append(finding)
        elif finding.check not in closest:
            closest[finding.check] = finding
            kept.append(finding)
        elif (finding.value or 0.0) > (closest[finding.check].value or 0.0):
            kept[kept.index(closest[finding.check])] = finding
            closest[finding.check] = finding
    return tuple(kept)


def count_findings(findings: Iterable[QualityFinding], pipeline: str) -> None:
    """Count what didn't pass, once it is kept."""
    for finding in findings:
        if finding.verdict is not Verdict.PASS:
            QUALITY.labels(finding.check, finding.verdict.value, pipeline).inc()


def label(region: RegionInfo) -> str:
    """Return a region as people know it: ``region 2 (whisker)``."""
    return f"region {region.roi_no} ({region.name or region.kind})"


def _number(value: float | str) -> float | None:
    return float(value) if not isinstance(value, str) and math.isfinite(value) else None
