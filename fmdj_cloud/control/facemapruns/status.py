"""The status of a FacemapRun: pure."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from fmdj_cloud.contracts import Progress
from fmdj_cloud.control.facemapruns.model import FacemapRun
from fmdj_cloud.control.facemapruns.standing import Stand, failures_of, frames_of, stand_of
from fmdj_cloud.pipeline.survey import TaskStanding
from fmdj_cloud.printable import printable

_FAILURES = 5
_SENTENCE_MAX = 500
_MESSAGE_MAX = 2000
_ETA_STEP_S = 10


@dataclass(frozen=True)
class Verdict:
    """Whether a FacemapRun is accepted.

    Attributes
    ----------
    reason : str
        One word in CamelCase.
    message : str
        A sentence, or several.
    accepted : bool
    """

    reason: str
    message: str
    accepted: bool = False


def build_status(
    run: FacemapRun,
    verdict: Verdict,
    tasks: Sequence[TaskStanding],
    progress: Mapping[str, Progress],
    *,
    instance: str,
    suspended: bool,
    observed_at: dt.datetime,
    now: dt.datetime,
) -> dict[str, Any]:
    """Return the status that a FacemapRun should have.

    Parameters
    ----------
    run : FacemapRun
        With its status as it is: a condition's time changes only with the condition.
    verdict : Verdict
    tasks : sequence of TaskStanding
        That it selects; nothing of what was said of them changes where it isn't accepted.
    progress : mapping of str to Progress
        What the workers say, by run id.
    instance : str
        The installation; empty where that of the status stays.
    suspended : bool
    observed_at : datetime
        When its spec as it is was first seen, naive UTC.
    now : datetime
        The database's clock, naive UTC.
    """
    status: dict[str, Any] = {
        "observedGeneration": run.generation,
        "observedAt": f"{observed_at.isoformat(timespec='microseconds')}Z",
    }
    if instance or run.status.get("instance"):
        status["instance"] = instance or run.status["instance"]
    counts = Counter(stand_of(task) for task in tasks)
    if verdict.accepted:
        status["selected"] = len(tasks)
        status |= {stand.value: counts[stand] for stand in Stand}
        status["progress"] = _progress(tasks, progress)
        status["failures"] = [
            {
                "task": printable(one.task, keep=""),
                "class": one.failure_class,
                "sentence": _cut(one.sentence, _SENTENCE_MAX),
            }
            for one in islice(failures_of(tasks), _FAILURES)
        ]
    else:
        kept = ("selected", *Stand, "progress", "failures")
        status |= {str(name): run.status[name] for name in kept if name in run.status}
    status["conditions"] = [
        _condition(run, "Accepted", verdict.accepted, verdict.reason, verdict.message, now),
        _condition(run, "Complete", *_completion(verdict, counts, suspended), now),
        _condition(run, "Failed", *_failure(counts[Stand.FAILED] if verdict.accepted else 0), now),
    ]
    return status


def _progress(tasks: Sequence[TaskStanding], progress: Mapping[str, Progress]) -> dict[str, int]:
    frames = frames_of(tasks, progress)
    found = {"framesDone": frames.done, "framesTotal": frames.total}
    if frames.eta_s is not None:
        found["etaSeconds"] = math.ceil(frames.eta_s / _ETA_STEP_S) * _ETA_STEP_S
    return found


def _completion(verdict: Verdict, counts: Counter[Stand], suspended: bool) -> tuple[bool, str, str]:
    total = sum(counts.values())
    if not verdict.accepted:
        return False, "NotAccepted", "It isn't accepted: see that condition."
    if not total:
        return False, "NothingSelected", "It selects no task yet; those that are inserted later join."
    over = counts[Stand.LOADED] + counts[Stand.FAILED]
    if over == total:
        failed = counts[Stand.FAILED]
        if failed:
            return True, "SomeFailed", f"{counts[Stand.LOADED]} of {total} tasks are loaded, {failed} failed for good."
        return True, "AllLoaded", f"All {total} tasks are loaded."
    if suspended:
        return False, "Suspended", f"{over} of {total} tasks are over; nothing more is started while it is suspended."
    return False, "InProgress", f"{over} of {total} tasks are over."


def _failure(failed: int) -> tuple[bool, str, str]:
    if failed:
        return True, "TasksFailed", f"{failed} task{'s' if failed > 1 else ''} failed: see failures, or `fmdj explain`."
    return False, "NoFailures", "No task has failed."


def _condition(run: FacemapRun, name: str, true: bool, reason: str, message: str, now: dt.datetime) -> dict[str, Any]:
    old = run.condition(name)
    status = "True" if true else "False"
    same = old.get("status") == status and old.get("lastTransitionTime")
    return {
        "type": name,
        "status": status,
        "observedGeneration": run.generation,
        "lastTransitionTime": old["lastTransitionTime"] if same else f"{now.isoformat(timespec='seconds')}Z",
        "reason": reason,
        "message": _cut(message, _MESSAGE_MAX),
    }


def differs(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Tell how two statuses differ: empty if they don't, ``progress`` if only in that, else ``more``."""
    if old == new:
        return ""
    rest = [{name: value for name, value in one.items() if name != "progress"} for one in (old, new)]
    return "progress" if rest[0] == rest[1] else "more"


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that turns one status into the other: what is gone becomes null."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            patch[name] = merge_patch(before, value)
        elif before != value:
            patch[name] = value
    return patch


def _cut(text: str, limit: int) -> str:
    text = printable(text, keep="")  # what strangers have named is shown on terminals
    return text if len(text) <= limit else text[: limit - 3] + "..."
