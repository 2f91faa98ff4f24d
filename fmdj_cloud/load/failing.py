"""A load that can't be: recorded for good, with what quality control found."""

from __future__ import annotations

from fmdj_cloud.contracts import FailureClass, Outcome, RunRecord, RunState
from fmdj_cloud.errors import LoadError
from fmdj_cloud.load.verdict import QualityError, condensed, count_findings
from fmdj_cloud.pipeline.ledger import Ledger


def fail_load(ledger: Ledger, run: RunRecord, error: LoadError) -> bool:
    """Published -> failed; return whether the run was still published.

    Parameters
    ----------
    ledger : Ledger
    run : RunRecord
    error : LoadError
        Why its outputs can't be loaded. If it was quality control, all that was found is kept, too; else what was found
        before is forgotten.
    """
    findings = condensed(error.findings) if isinstance(error, QualityError) else ()
    outcome = Outcome(failure_class=FailureClass.LOAD, sentence=error.sentence, check=error.check)
    with ledger.database.transaction():
        if not ledger.fail(run.run_id, RunState.PUBLISHED, run.attempt, outcome):
            return False
        ledger.keep_quality(run.run_id, run.attempt, findings)
    count_findings(findings, run.pipeline)
    return True
