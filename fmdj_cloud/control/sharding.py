"""Into how many pieces a run is cut: pure."""

from __future__ import annotations

import math

from fmdj_cloud.contracts import SHARDS_MAX, Engine, RunPlan
from fmdj_cloud.settings import ControllerSettings

AUTO = "auto"
_NOTE = "It is computed in one piece although shards are asked for: "
_FRAMES_MIN = 1000
"""Frames of a shard of ``auto`` at least: fewer cost more to start than they save."""


def sharded(plan: RunPlan, asked: str, settings: ControllerSettings) -> RunPlan:
    """Return a plan with its shards; what it computes is the same.

    Parameters
    ----------
    plan : RunPlan
    asked : str
        What a FacemapRun asks for: a number or ``auto``; empty leaves it to `settings`.
    settings : ControllerSettings
    """
    shards = _number(asked or settings.shards, plan, settings)
    why = _hindrance(plan) if shards is not None else ""
    notes = tuple(note for note in plan.notes if not note.startswith(_NOTE))
    if why:
        shards, notes = None, (*notes, f"{_NOTE}{why}")
    return plan.model_copy(update={"shards": shards, "notes": notes})


def _number(asked: str | int | None, plan: RunPlan, settings: ControllerSettings) -> int | None:
    """Return how many shards there are, None for one piece."""
    if not asked or plan.imports:
        return None
    if asked == AUTO:
        by_time = math.ceil(plan.estimate.seconds / (60 * settings.shard_minutes))
        number = min(by_time, settings.shards_max, plan.estimate.frames // _FRAMES_MIN)
    else:
        number = min(int(asked), SHARDS_MAX)
    return number if number > 1 else None


def _hindrance(plan: RunPlan) -> str:
    if plan.pose is None and plan.engine is not Engine.TURBO:
        return f"the engine {plan.engine.value} can't cut a recording, {Engine.TURBO.value} can."
    return ""
