"""What the default settings put up with."""

from __future__ import annotations

from fmdj_cloud.contracts import FailureClass, Limits, Outcome
from fmdj_cloud.control.profiles import Bounds
from fmdj_cloud.control.retry import Again, next_step
from fmdj_cloud.settings import RetrySettings

TEN_MINUTES = 600.0


def test_by_default_runs_outlast_ten_minutes_in_which_nothing_can_be_written() -> None:
    settings = RetrySettings()
    waited = []
    limits = Limits(time_budget_s=3600, memory_mib=2048, scratch_mib=2048, threads=1)
    bounds = Bounds(memory_max_mib=65536, scratch_max_mib=65536)
    outcome = Outcome(failure_class=FailureClass.STORAGE, sentence="The bucket can't be written.")

    for attempt in range(1, settings.storage + 1):
        step = next_step(outcome, {"storage": attempt - 1}, limits, attempt, "svd-1", settings, bounds)
        assert isinstance(step, Again)
        waited.append(step.not_before_s)

    assert sum(waited) > TEN_MINUTES
