"""Whether a failed attempt is tried again, when, and with what: pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from fmdj_cloud.contracts import FailureClass, Limits, Outcome
from fmdj_cloud.control.profiles import Bounds
from fmdj_cloud.names import ATTEMPT_MAX
from fmdj_cloud.settings import RetrySettings

_COUNTED = {
    FailureClass.STORAGE: "storage",
    FailureClass.MEMORY: "memory",
    FailureClass.DISK: "disk",
    FailureClass.GPU: "gpu",
    FailureClass.DISRUPTED: "disrupted",
    FailureClass.VANISHED: "vanished",
    FailureClass.CRASH: "crash",
    FailureClass.BUDGET: "budget",
}
"""Classes that are tried again -> the setting that bounds how often. All others are final."""
_AT_ONCE = frozenset({FailureClass.MEMORY, FailureClass.DISK, FailureClass.BUDGET})
"""More of something is given: waiting would change nothing."""


@dataclass(frozen=True)
class Again:
    """Try again, not before so many seconds from now."""

    not_before_s: float


@dataclass(frozen=True)
class Final:
    """Give up, with what people are told."""

    outcome: Outcome


def next_step(
    outcome: Outcome,
    failures: Mapping[str, int],
    limits: Limits,
    attempt: int,
    run_id: str,
    settings: RetrySettings,
    bounds: Bounds,
) -> Again | Final:
    """Return what follows a failed attempt.

    Parameters
    ----------
    outcome : Outcome
        Its `failure_class` is set.
    failures : mapping of str to int
        Failed attempts of the run before this one, by class.
    limits : Limits
        What this attempt had.
    attempt : int
    run_id : str
        Spreads retries of many runs: the jitter derives from it.
    settings : RetrySettings
    bounds : Bounds
        What an attempt of the run may get.
    """
    failure = outcome.failure_class or FailureClass.CRASH
    if failure not in _COUNTED:
        return Final(outcome)
    before = failures.get(failure.value, 0)
    bound: int = getattr(settings, _COUNTED[failure])
    if failure is FailureClass.MEMORY and limits.memory_mib >= bounds.memory_max_mib:
        return Final(_with(outcome, f"It needs more than {limits.memory_mib} MiB of memory, the cap."))
    if failure is FailureClass.DISK and limits.scratch_mib >= bounds.scratch_max_mib:
        return Final(_with(outcome, f"It needs more than {limits.scratch_mib} MiB of scratch disk, the cap."))
    if before >= bound:
        had = {
            FailureClass.MEMORY: f" with up to {limits.memory_mib} MiB of memory",
            FailureClass.DISK: f" with up to {limits.scratch_mib} MiB of scratch disk",
            FailureClass.BUDGET: f" with up to {limits.time_budget_s / 3600:.1f} h",
        }.get(failure, "")
        return Final(_with(outcome, f"Tried {before + 1} times{had}."))
    if attempt >= ATTEMPT_MAX:
        return Final(_with(outcome, f"Gave up after {attempt} attempts."))
    return Again(0.0 if failure in _AT_ONCE else _backoff(before, attempt, run_id, settings))


def limits_for(first: Limits, failures: Mapping[str, int], settings: RetrySettings, bounds: Bounds) -> Limits:
    """Return the limits of the next attempt: the plan's, grown by what was lacking so far.

    Parameters
    ----------
    first : Limits
        Of the plan.
    failures : mapping of str to int
        Failed attempts so far, by class.
    settings : RetrySettings
    bounds : Bounds
    """
    memory = max(first.memory_mib, bounds.memory_min_mib)
    memory = _grown(memory, settings.memory_factor, failures.get("memory", 0), bounds.memory_max_mib)
    scratch = max(first.scratch_mib, bounds.scratch_min_mib)
    scratch = _grown(scratch, settings.disk_factor, failures.get("disk", 0), bounds.scratch_max_mib)
    budget = first.time_budget_s * 2.0 ** min(64, failures.get("budget", 0))
    return first.model_copy(
        update={"memory_mib": memory, "scratch_mib": scratch, "time_budget_s": budget, "gpu": bounds.gpu}
    )


def _grown(first: int, factor: float, times: int, cap: int) -> int:
    size = float(first)
    for _ in range(times):
        if size >= cap:
            break
        size *= factor
    return max(min(int(size), cap), min(first, cap))


def _backoff(before: int, attempt: int, run_id: str, settings: RetrySettings) -> float:
    wait = min(settings.backoff_max_s, settings.backoff_s * 2.0 ** min(before, 32))
    # a fixed function of run and attempt: no hidden randomness, yet a thousand runs don't come back at once
    spread = int.from_bytes(hashlib.sha256(f"{run_id} {attempt}".encode()).digest()[:4], "big") / 2**32
    return wait * (0.75 + 0.5 * spread)


def _with(outcome: Outcome, addition: str) -> Outcome:
    return outcome.model_copy(update={"sentence": f"{outcome.sentence.rstrip()} {addition}".strip()})
