"""What quality control found in the outputs of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fmdj_cloud.contracts import QualityCheck, QualityFinding, Verdict
from fmdj_cloud.pipeline.ledger_base import LedgerBase, one_of
from fmdj_cloud.pipeline.ledger_rows import fit
from fmdj_cloud.pipeline.repeating import repeated

_COLUMNS = "run_id, attempt, check_name, part, roi_no, value, threshold, verdict, accepted, sentence, checked"
_INSERTED = "run_id, check_no, attempt, check_name, part, roi_no, value, threshold, verdict, accepted, sentence"
_CHECK_MAX = 32
_PART_MAX = 128
"""Characters of the columns."""
_AT_A_TIME = 100


class Quality(LedgerBase):
    """Reads and writes the Quality table."""

    @repeated
    def keep_quality(self, run_id: str, attempt: int, findings: Sequence[QualityFinding]) -> None:
        """Keep what quality control found in an attempt's outputs, in place of what it found before.

        Inside a transaction of the caller's, it belongs to that.

        Parameters
        ----------
        run_id : str
        attempt : int
        findings : sequence of QualityFinding
        """
        with self.database.transaction():
            old = self.database.query(f"SELECT check_no FROM {self._quality} WHERE run_id = %s", (run_id,))
            for start in range(0, len(old), _AT_A_TIME):
                # By whole keys, since MySQL locks the gap behind a range, where the rows of other runs go
                numbers = tuple(number for (number,) in old[start : start + _AT_A_TIME])
                sql = f"DELETE FROM {self._quality} WHERE run_id = %s AND check_no IN ({one_of(numbers)})"
                self.database.execute(sql, (run_id, *numbers))
            rows = [_row(run_id, number, attempt, finding) for number, finding in enumerate(findings)]
            for start in range(0, len(rows), _AT_A_TIME):
                some = rows[start : start + _AT_A_TIME]
                values = ", ".join([f"({one_of(some[0])}, {self._clock})"] * len(some))
                sql = f"INSERT INTO {self._quality} ({_INSERTED}, checked) VALUES {values}"
                self.database.execute(sql, tuple(value for row in some for value in row))

    def quality(self, run_id: str) -> tuple[QualityCheck, ...]:
        """Return what quality control found in the outputs of a run, in the order in which it looked.

        Parameters
        ----------
        run_id : str

        Returns
        -------
        tuple of QualityCheck
            Of the outputs that a loader looked at last, loaded or not; empty if none did yet.
        """
        rows = self.database.query(
            f"SELECT {_COLUMNS} FROM {self._quality} WHERE run_id = %s ORDER BY check_no", (run_id,)
        )
        return tuple(map(_record, rows))


def _row(run_id: str, number: int, attempt: int, finding: QualityFinding) -> tuple[Any, ...]:
    return (
        *(run_id, number, attempt, fit(finding.check, _CHECK_MAX), fit(finding.part, _PART_MAX), finding.roi_no),
        *(finding.value, finding.threshold, finding.verdict.value, finding.accepted, fit(finding.sentence)),
    )


def _record(row: Sequence[Any]) -> QualityCheck:
    run_id, attempt, check, part, roi_no, value, threshold, verdict, accepted, sentence, checked = row
    return QualityCheck(
        run_id=run_id,
        attempt=attempt,
        check=check,
        part=part,
        roi_no=roi_no,
        value=value,
        threshold=threshold,
        verdict=Verdict(verdict),
        accepted=bool(accepted),
        sentence=sentence,
        checked=checked,
    )
