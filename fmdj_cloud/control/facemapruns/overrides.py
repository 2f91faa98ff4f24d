"""What a FacemapRun asks for of a run: pure."""

from __future__ import annotations

from fmdj_cloud.contracts import Overrides, RunPlan
from fmdj_cloud.control.sharding import sharded
from fmdj_cloud.settings import ControllerSettings


def overridden(plan: RunPlan, overrides: Overrides, settings: ControllerSettings) -> RunPlan:
    """Return a plan with what a FacemapRun asks for; what it computes is the same.

    Parameters
    ----------
    plan : RunPlan
    overrides : Overrides
        Where they say nothing, the plan is as it is without a FacemapRun.
    settings : ControllerSettings
    """
    budget_s = overrides.time_budget_s
    if budget_s is None:
        budget_s = max(settings.min_budget_s, 4 * plan.estimate.seconds)
    limits = plan.limits.model_copy(update={"time_budget_s": budget_s})
    amended = plan.model_copy(update={"limits": limits, "profile": overrides.profile})
    return sharded(amended, overrides.shards, settings)
