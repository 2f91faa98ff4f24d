"""Why a task is not done, and what to do: pure, from what was observed to words."""

from __future__ import annotations

import datetime as dt
from typing import Any

from fmdj_cloud.contracts import (
    ACCEPTABLE_CHECKS,
    POPULATE,
    REUSE,
    AttemptRecord,
    BindingRecord,
    BindingState,
    Frozen,
    Kind,
    Progress,
    QualityCheck,
    RunRecord,
    RunState,
    Verdict,
    Wanted,
)
from fmdj_cloud.control.advice import ADVICE
from fmdj_cloud.control.courtesy_words import ADVICE as ADVICE_ELSEWHERE
from fmdj_cloud.control.courtesy_words import ELSEWHERE
from fmdj_cloud.control.progress import progress_words
from fmdj_cloud.names import display_key
from fmdj_cloud.pipeline.silence import populates, process_of, shows_itself


class Observation(Frozen):
    """All that is known of one task."""

    pipeline: str
    kind: Kind
    """Of the task table."""
    result_name: str
    """Table whose row says that the task is done."""
    key: dict[str, Any]
    exists: bool
    has_result: bool
    edited: bool
    """Whether its parameters changed since they were last looked at."""
    brake: bool
    seen: bool
    """Whether a controller has met the pipeline."""
    leader: str | None
    unclaimed: bool = False
    """Whether only tasks that a FacemapRun selects are computed, and none selects this one."""
    binding: BindingRecord | None
    run: RunRecord | None
    attempts: tuple[AttemptRecord, ...] = ()
    progress: Progress | None = None
    quality: tuple[QualityCheck, ...] = ()
    """What quality control found in the run's outputs."""
    now: dt.datetime
    silent_s: float
    """After how many seconds without a sign of life a ``populate()`` counts as gone."""


class AttemptLine(Frozen):
    """One attempt, as people see it."""

    attempt: int
    outcome: str
    sentence: str
    started: dt.datetime
    finished: dt.datetime | None
    folder: str


class Explanation(Frozen):
    """Why a task is where it is."""

    pipeline: str
    kind: Kind
    """Of the task table."""
    task: dict[str, Any]
    run_id: str | None
    state: str
    """A run's or binding's state; ``done``, ``no task``, ``pending`` or ``braked`` where there is none."""
    why: str
    advice: str
    attempts: tuple[AttemptLine, ...] = ()
    quality: tuple[QualityCheck, ...] = ()
    """What quality control found in the run's outputs, as far as they were looked at."""

    @property
    def task_text(self) -> str:
        """The task as people type it."""
        return display_key(self.task)


def explain(observed: Observation) -> Explanation:
    """Explain one task.

    Parameters
    ----------
    observed : Observation

    Returns
    -------
    Explanation
        Its state, why it is so, and what to do; total over any observation.
    """
    state, why, advice = _verdict(observed)
    return Explanation(
        pipeline=observed.pipeline,
        kind=observed.kind,
        task=observed.key,
        run_id=observed.run.run_id if observed.run else None,
        state=state,
        why=why,
        advice=advice,
        attempts=tuple(
            AttemptLine(
                attempt=a.attempt,
                outcome=a.outcome or "under way",
                sentence=a.sentence,
                started=a.started,
                finished=a.finished,
                folder=a.folder,
            )
            for a in observed.attempts
        ),
        quality=observed.quality,
    )


_NOTHING = "Nothing: it goes on by itself."
_ASK_AGAIN = "`fmdj retry KEY` has it planned again; so does an edit of the task."
_START = "Start one with `fmdj controller`."


def _verdict(o: Observation) -> tuple[str, str, str]:
    if not o.exists:
        return "no task", "There is no such task in the task table.", "Check the key, or insert the task."
    if o.has_result:
        if o.run is not None and o.run.state is RunState.LOADED:
            loaded = f"Its result was loaded on {o.run.updated:%Y-%m-%d %H:%M} UTC. {_reused(o)}".rstrip()
            flagged = sum(check.verdict is not Verdict.PASS for check in o.quality)
            return "done", loaded, f"Look at what is flagged ({flagged})." if flagged else "Nothing: fetch it."
        return (
            "done",
            "Its result is in the database, but was not loaded by us; we leave it alone.",
            f"Delete the {o.result_name} row if you want it computed again.",
        )
    if o.edited and o.run is not None and o.run.state is not RunState.LOADED:
        return "edited", "The task was edited since it was planned; it will be planned again.", _controller(o)
    asked_again = o.binding is not None and o.binding.state is BindingState.PENDING
    if o.run is not None and o.run.state not in (RunState.LOADED, RunState.SUPERSEDED) and not asked_again:
        return _of_run(o, o.run)
    if o.brake:
        return (
            "braked",
            "The pipeline had many pending tasks when it was first seen; all are held until somebody has looked.",
            "`fmdj plan` shows what they will cost; `fmdj release` lets them go.",
        )
    if o.binding is not None and o.binding.state is not BindingState.PLANNED:
        return _of_binding(o, o.binding)
    if o.unclaimed:
        return (
            "pending",
            "No FacemapRun selects it, and only what one selects is computed (controller.trigger: facemapruns).",
            "Apply a FacemapRun that selects it, or set controller.trigger to all.",
        )
    if not o.seen:
        return "pending", "No controller has seen this pipeline yet.", _START
    return "pending", "It is waiting to be planned.", _controller(o)


def _controller(o: Observation) -> str:
    if o.leader:
        return _NOTHING
    if o.attempts and o.attempts[-1].launcher == POPULATE:
        return "No controller is running. Call populate() again, or start one with `fmdj controller`."
    return f"No controller is running. {_START}"


def _of_binding(o: Observation, binding: BindingRecord) -> tuple[str, str, str]:
    if binding.state is BindingState.WAITING:
        look = f" The next look is at {binding.next_look:%H:%M} UTC." if binding.next_look else ""
        if binding.sentence.startswith(ELSEWHERE):
            return "waiting", f"{binding.sentence}{look}", ADVICE_ELSEWHERE
        why = f"It waits for an input since {binding.since:%Y-%m-%d %H:%M} UTC: {binding.sentence}{look}"
        return "waiting", why, "Upload what is missing, or correct the path."
    if binding.state is BindingState.REFUSED:
        advice = ADVICE[binding.failure_class] if binding.failure_class else "Edit the task."
        return "refused", binding.sentence, f"{advice} `fmdj retry KEY` plans it again as it is."
    if binding.state is BindingState.PENDING:
        return "pending", f"{binding.sentence} It is waiting to be planned.".strip(), _controller(o)
    if binding.state is BindingState.CANCELLED:
        return "cancelled", binding.sentence or "Somebody cancelled it.", _ASK_AGAIN
    return "held", binding.sentence or "Somebody holds it.", "`fmdj release KEY` lets it go."


def _reused(o: Observation) -> str:
    """Return whose outputs these are, empty if they are its own."""
    last = o.attempts[-1] if o.attempts else None
    return last.sentence if last is not None and last.launcher == REUSE else ""


def _of_run(o: Observation, run: RunRecord) -> tuple[str, str, str]:
    if o.attempts and populates(run, o.attempts[-1]):
        return "launched", *_of_populate(o, run, o.attempts[-1])
    if run.wanted is not Wanted.RUN and run.state not in (RunState.HELD, RunState.CANCELLED):
        return run.state.value, f"Somebody asked to {run.wanted.value} it; the controller is about to.", _controller(o)
    if run.state is RunState.READY:
        if run.not_before is not None and run.not_before > o.now:
            why = f"Attempt {run.attempt} starts at {run.not_before:%H:%M:%S} UTC. The last one failed: {run.sentence}"
            return "ready", why, _controller(o)
        return "ready", f"Attempt {run.attempt} waits for a free slot.", _controller(o)
    if run.state is RunState.LAUNCHED:
        if run.sentence:
            return "launched", f"Attempt {run.attempt} waits: {run.sentence}", _controller(o)
        if o.progress is None:
            return "launched", f"Attempt {run.attempt} has started and reported no progress yet.", _controller(o)
        return "launched", f"Attempt {run.attempt} is at {_progress(o.progress)}.", _controller(o)
    if run.state is RunState.PUBLISHED:
        published = f"Attempt {run.attempt} has published its outputs; the loader writes them into the database."
        return (
            "published",
            f"{published} {_reused(o)}".rstrip(),
            "Nothing, as long as a loader is running (`fmdj loader`)"
            + (f", or call {o.result_name}.populate()." if o.attempts and o.attempts[-1].launcher == POPULATE else "."),
        )
    if run.state is RunState.FAILED:
        return "failed", run.sentence, _of_failure(o, run)
    if run.state is RunState.HELD:
        return "held", run.sentence or "Somebody holds it.", "`fmdj release KEY` lets it go."
    return run.state.value, run.sentence or "Somebody cancelled it.", _ASK_AGAIN


def _of_populate(o: Observation, run: RunRecord, attempt: AttemptRecord) -> tuple[str, str]:
    who = f"populate() in {process_of(attempt)}"
    since = f"since {attempt.started:%Y-%m-%d %H:%M} UTC"
    if not shows_itself(run, o.silent_s, o.now):
        why = (
            f"{who} has computed attempt {run.attempt} {since} and was last heard of at "
            f"{run.updated:%Y-%m-%d %H:%M:%S} UTC: it was killed, hangs, or can't reach the database."
        )
        return why, _controller(o)
    if run.wanted is not Wanted.RUN:
        return f"Somebody asked to {run.wanted.value} it; {who} is about to.", _NOTHING
    ago = max(0.0, (o.now - run.updated).total_seconds())
    at = f", at {_progress(o.progress)}" if o.progress is not None else ""
    return (
        f"{who} computes attempt {run.attempt} {since}{at}; its last sign of life is {ago:.0f} s old.",
        f"Nothing, as long as that process lives; if it was killed, the task is free {o.silent_s:.0f} s after it was "
        "last heard of. `fmdj cancel KEY` ends it.",
    )


def _progress(p: Progress) -> str:
    eta = f", about {p.eta_s:.0f} s to go" if p.eta_s is not None else ""
    done = f"{p.frames_done} of {p.frames_total} frames" if p.frames_total else "no frames yet"
    return f"{progress_words(p)}: {done}, {p.frames_per_s:.0f} frames/s{eta}"


def _of_failure(o: Observation, run: RunRecord) -> str:
    advice = ADVICE[run.failure_class] if run.failure_class else "See `fmdj logs`."
    # The worker's check is in the attempt that it ended; the loader's came after that
    failed = dict.fromkeys(one.check for one in o.quality if one.verdict is Verdict.FAIL)
    checks = list(failed) or ([o.attempts[-1].evidence.get("check", "")] if o.attempts else [])
    if checks and all(check in ACCEPTABLE_CHECKS for check in checks):
        return f"{advice} If it is meant to be so: `fmdj retry KEY {' '.join(f'--accept {one}' for one in checks)}`."
    return f"{advice} `fmdj retry KEY` tries again."
