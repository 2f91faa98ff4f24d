"""What a run has taken so far, and what that costs, about: pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from fmdj_cloud.contracts import REUSE, AttemptRecord, Frozen, RunRecord, StageRecord
from fmdj_cloud.settings import PageSettings, Settings


class Usage(Frozen):
    """What a run has taken in all of its attempts."""

    hours: float
    """From launch to end of every attempt, the wait for a node included."""
    core_h: float
    """Cores x hours."""
    memory_gib_h: float
    """GiB x hours."""
    gpu_h: float
    """GPUs x hours."""
    cost: float | None
    """None where the settings have no price."""
    currency: str


def usage_of(
    run: RunRecord,
    attempts: Sequence[tuple[AttemptRecord, Sequence[StageRecord]]],
    settings: Settings,
    now: dt.datetime,
) -> Usage:
    """Return what a run has taken, from what its attempts were given and how long they lasted.

    It is an upper bound: time in which a pod waited for a node counts.

    Parameters
    ----------
    run : RunRecord
    attempts : sequence of (AttemptRecord, sequence of StageRecord)
        All attempts, each with its stages.
    settings : Settings
        For the cores of a pod, and the prices.
    now : datetime
        The database's clock, for attempts that are under way.
    """
    hours = core_h = memory_h = gpu_h = 0.0
    for attempt, stages in attempts:
        if attempt.launcher == REUSE:
            continue
        lasted = max(0.0, ((attempt.finished or now) - attempt.started).total_seconds()) / 3600
        pods = lasted * max(1, attempt.pods)
        hours += lasted
        core_h += pods * _cores(run, attempt, settings)
        memory_h += pods * attempt.limits.memory_mib / 1024
        measured = [stage.gpu_seconds for stage in stages if stage.gpu_seconds is not None]
        gpu_h += sum(measured) / 3600 if measured else pods * attempt.limits.gpu
    return Usage(
        hours=hours,
        core_h=core_h,
        memory_gib_h=memory_h,
        gpu_h=gpu_h,
        cost=cost_of(settings.page, core_h, memory_h, gpu_h),
        currency=settings.page.currency,
    )


def cost_of(prices: PageSettings, core_h: float, memory_gib_h: float, gpu_h: float) -> float | None:
    """Return what resources cost; None where there is no price."""
    if prices.price_core_h is None:
        return None
    return core_h * prices.price_core_h + memory_gib_h * prices.price_gib_h + gpu_h * prices.price_gpu_h


def _cores(run: RunRecord, attempt: AttemptRecord, settings: Settings) -> float:
    if settings.controller.launcher != "kubernetes":
        return float(attempt.limits.threads)
    profiles = settings.kubernetes.profiles
    if run.profile and run.profile not in profiles:
        return float(attempt.limits.threads)
    return float(settings.kubernetes.profile_for(run.kind, run.profile)[1].cpu)
