"""What becomes of a Job: a pure, total function from what the cluster shows of it.

The rules that keep work from being lost or done twice:

- a Job whose Pod may still run is never over, unless the Pod's machine has been silent for so long that it counts as
  leaked: whatever it writes then is in a folder that nobody reads;
- a Job that is being deleted is over when it is gone, or when all of its Pods that are seen are;
- what can't be known, or may pass, is waited for; what can't pass is given up after a time that settings say;
- giving up is only a wish: such a Job still counts as running, is stopped, and is over when its Pods are;
- where the worker had a last word, that counts, unless a machine's end explains it better.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence

from fmdj_cloud.contracts import FailureClass, JobPhase, Outcome
from fmdj_cloud.contracts.base import Frozen
from fmdj_cloud.control.diagnose import ProcessEnd, diagnose, worst_of
from fmdj_cloud.control.launchers.kubernetes.cases import Case
from fmdj_cloud.control.launchers.kubernetes.containers import WORKER
from fmdj_cloud.control.launchers.kubernetes.endings import ending, outcome_of
from fmdj_cloud.control.launchers.kubernetes.events import Events, first_told
from fmdj_cloud.control.launchers.kubernetes.eviction import read_eviction
from fmdj_cloud.control.launchers.kubernetes.fields import evidence, shorten
from fmdj_cloud.control.launchers.kubernetes.jobs import Job, read_job
from fmdj_cloud.control.launchers.kubernetes.pods import Pod, read_pods
from fmdj_cloud.control.launchers.kubernetes.refusal import pod_refusal
from fmdj_cloud.control.launchers.kubernetes.shards import shards_standing, worst_ending
from fmdj_cloud.control.launchers.kubernetes.starting import Standing, standing
from fmdj_cloud.names import check_nonce
from fmdj_cloud.settings import KubernetesSettings

_POLICY_EXIT = re.compile(r"Container (\S+) for pod \S+ failed with exit code (\d{1,3}) matching")
_POLICY_CONDITION = re.compile(r"Pod \S+ has condition DisruptionTarget matching")
_KILLED = (137, 143)
_FROM_OUTSIDE = frozenset({FailureClass.DISRUPTED, FailureClass.MEMORY, FailureClass.CRASH})
"""What being killed looks like."""
_JUST_SUSPENDED = "Job suspended"
"""What the Job controller, not Kueue, tells of every Job that is."""
_SUSPENDED = "Its Job was suspended while it ran, by Kueue for a more urgent one or by a person: not the run's fault."
"""Kubernetes stops the Pod, and may take that for the Job's failure by the rules that keep how it ended."""
_TOLD = {"Preempted": Case.PREEMPTED, "TaintManagerEviction": Case.TAINTED, "Killing": Case.POD_DELETED}


class Finding(Frozen):
    """What a Job is found to be.

    `outcome` is set where it is over; `give_up` only where it isn't.
    """

    phase: JobPhase
    outcome: Outcome | None = None
    give_up: Outcome | None = None
    waiting: str = ""
    """Why it doesn't compute yet, in a lab's words; empty if it does, or is over."""
    pod: str = ""
    """Its newest Pod."""
    node: str = ""
    nonces: tuple[str, ...] = ()
    """UIDs of its Pods, oldest first."""
    started: dt.datetime | None = None
    """When the newest worker started."""
    leaked: bool = False
    shards: int = 1
    """Pods that it takes in all."""
    pods: int = 1
    """Pods that it may still have at a time."""
    spoke: str = ""
    """UID of the Pod whose end `outcome` tells, of several."""
    case: Case
    """How it was recognised."""


def diagnose_job(
    job: Mapping[str, object],
    pods: Sequence[Mapping[str, object]],
    events: Sequence[Mapping[str, object]],
    now: dt.datetime,
    settings: KubernetesSettings,
) -> Finding:
    """Return what a Job is.

    Parameters
    ----------
    job : mapping
        The Job, as the API shows it.
    pods : sequence of mapping
        Its Pods; the last state of one that is gone is marked (:data:`~.pods.GONE`).
    events : sequence of mapping
        Events about it and about its Pods, as far as they are known.
    now : datetime
        With a time zone.
    settings : KubernetesSettings
    """
    now = now.astimezone(dt.UTC)
    view, found, told = read_job(job), read_pods(pods), Events(events)
    silent = [pod for pod in found if pod.silent(now, settings.lost_grace_s)]
    alive = [pod for pod in found if not pod.over and pod not in silent]
    newest = (alive or found or (None,))[-1]
    size = {"shards": view.shards, "pods": view.pods}
    if not alive and (silent or _is_over(view, found)):
        outcome, spoke = _ended_shards(view, found, silent, told) if view.indexed else (None, "")
        # a shard that succeeded doesn't tell why others didn't
        told_by = [pod for pod in found if pod.phase != "Succeeded"] if view.indexed else found
        outcome = outcome or _ended(view, told_by, silent, told)
        if view.suspended and _case_of(outcome) is Case.POD_DELETED:
            outcome = outcome.model_copy(update={"sentence": _SUSPENDED})
        if view.given_up is not None and not outcome.ok:
            outcome = view.given_up
        ended = {"outcome": outcome, "leaked": bool(silent), "spoke": spoke, **size}
        return _finding(JobPhase.ENDED, newest, found, _case_of(outcome), **ended)
    stand = _shards_standing(view, alive, found, told, now, settings) if view.indexed else None
    stand = stand or _standing(view, newest if alive else None, told, now, settings)
    give_up = view.given_up or stand.give_up
    return _finding(JobPhase.RUNNING, newest, found, stand.case, waiting=stand.waiting, give_up=give_up, **size)


def _finding(phase: JobPhase, newest: Pod | None, found: Sequence[Pod], case: Case, **what: object) -> Finding:
    about = {"pod": newest.name, "node": newest.node, "started": newest.started} if newest is not None else {}
    nonces = tuple(dict.fromkeys(pod.uid for pod in found if _is_nonce(pod.uid)))
    return Finding.model_validate({"phase": phase, "case": case, "nonces": nonces, **about, **what})


def _is_nonce(uid: str) -> bool:
    try:
        return bool(check_nonce(uid))
    except ValueError:
        return False


def _case_of(outcome: Outcome) -> Case:
    """Return the case that an outcome's evidence names; one of another version, in an annotation, may be unknown."""
    try:
        return Case(outcome.evidence.get("case", ""))
    except ValueError:
        return Case.ENDING


def _is_over(job: Job, found: Sequence[Pod]) -> bool:
    """Tell whether a Job without living Pods makes no more of them."""
    if job.complete is not None or job.failed is not None:
        return True
    seen_all = len(found) > 0 or job.active == 0
    if job.ending:
        return seen_all
    # with foreground deletion the Job itself says when all Pods are gone, also those that are not seen yet
    return job.deleting and (len(found) > 0 or (not job.foreground and job.active == 0))


def _ended(job: Job, found: Sequence[Pod], silent: Sequence[Pod], told: Events) -> Outcome:
    succeeded = [pod for pod in found if pod.phase == "Succeeded"] if job.complete is not None else []
    chosen = succeeded or found
    if chosen and chosen[-1] in silent:
        return outcome_of(Case.NODE_SILENT, "", chosen[-1], reason=chosen[-1].reason, message=chosen[-1].message)
    newest = chosen[-1] if chosen else None
    outcome = ending(newest, stopped=job.deleting) if newest is not None else None
    overdue = job.failed is not None and job.failed.reason == "DeadlineExceeded"
    if outcome is not None and not (overdue and outcome.failure_class in _FROM_OUTSIDE):
        return outcome
    if job.complete is not None:
        return outcome_of(Case.DONE, "It is complete.", reason=job.complete.reason, message=job.complete.message)
    return _policy(job, newest, told) or _told(job, newest, told) or _untold(job, newest)


def _ended_shards(job: Job, found: Sequence[Pod], silent: Sequence[Pod], told: Events) -> tuple[Outcome | None, str]:
    """Return how a Job with a Pod for every shard ended, and the UID of the Pod that tells; None if none does."""
    if job.complete is not None:
        return outcome_of(Case.DONE, "It is complete.", reason=job.complete.reason), ""
    worst = worst_ending(job, found, silent)
    by_policy = _policy(job, None, told)
    if worst is None:
        return by_policy, ""
    failures = [outcome.failure_class or FailureClass.CRASH for outcome in (worst[0], by_policy) if outcome is not None]
    # the Job remembers what the Pod that ended it said, also when that Pod is gone
    return (worst[0], worst[1].uid) if worst_of(failures) == 0 else (by_policy, "")


def _shards_standing(
    job: Job, alive: Sequence[Pod], found: Sequence[Pod], told: Events, now: dt.datetime, settings: KubernetesSettings
) -> Standing | None:
    if job.deleting or job.given_up is not None or job.suspended or job.ending:
        return None
    return shards_standing(job, alive, bool(found), told, now, settings)


def _policy(job: Job, pod: Pod | None, told: Events) -> Outcome | None:
    """Return how a Job failed by the condition that outlives its Pod."""
    if job.failed is None:
        return None
    recorded = {"reason": job.failed.reason, "message": job.failed.message}
    if job.failed.reason == "DeadlineExceeded":
        return outcome_of(Case.DEADLINE, "", pod, **recorded)
    if _POLICY_CONDITION.search(job.failed.message):
        return _told(job, pod, told) or outcome_of(Case.DISRUPTED, "", pod, **recorded)
    exited = _POLICY_EXIT.search(job.failed.message)
    if exited is None or exited[1] != WORKER:
        return None
    # its Pod is gone, so it was deleted: what it was killed with doesn't speak against the worker
    code = int(exited[2])
    outcome = diagnose(ProcessEnd(exit_code=code, stopped=code in _KILLED), None)
    if code in _KILLED:
        return _told(job, pod, told) or outcome_of(Case.POD_DELETED, "", pod, exit_code=code, **recorded)
    kept = evidence(case=Case.WORKER_EXIT.value, exit_code=code, **recorded)
    return outcome.model_copy(update={"evidence": kept})


def _told(job: Job, pod: Pod | None, told: Events) -> Outcome | None:
    """Return how a Pod that is gone ended by what was told while it was there."""
    heard = told.about(pod) if pod is not None else told.about_pods()
    for event in reversed(heard):
        recorded = {"reason": event.reason, "message": event.message}
        if event.reason == "Evicted" and pod is not None:
            case, sentence = read_eviction(event.message, pod)
            return outcome_of(case, sentence, pod, **recorded)
        if event.reason == "Evicted":
            return outcome_of(Case.DISRUPTED, "", None, **recorded)
    for reason, case in _TOLD.items():
        # a toleration that lasts longer takes back what the taint manager has announced
        last = [event for event in heard if event.reason == reason][-1:]
        if last and not last[0].message.startswith("Cancelling"):
            if case is Case.POD_DELETED and job.deleting:
                case = Case.JOB_DELETED
            return outcome_of(case, "", pod, reason=reason, message=last[0].message)
    return None


def _untold(job: Job, pod: Pod | None) -> Outcome:
    if pod is not None and not pod.gone and not job.deleting:
        return outcome_of(Case.NO_TRACE, "", pod, reason=pod.reason, message=pod.message)
    if job.deleting and job.failed is None:
        return outcome_of(Case.JOB_DELETED, "", pod)
    recorded = {"reason": job.failed.reason, "message": job.failed.message} if job.failed is not None else {}
    return outcome_of(Case.POD_GONE, "", pod, **recorded)


def _standing(job: Job, pod: Pod | None, told: Events, now: dt.datetime, settings: KubernetesSettings) -> Standing:
    """Return how a Job that isn't over stands, with its living Pod if it has one."""
    if job.deleting or job.given_up is not None or (pod is not None and pod.deleting is not None):
        return Standing(Case.ENDING, "It is being stopped.")
    if pod is not None:
        return standing(pod, told, job.profile, now, settings)
    if job.suspended and job.queue:
        heard = told.about_job("Suspended", "Stopped", "QuotaReserved", "Pending", "FinishedWorkload")
        latest = [event.message for event in heard if event.message not in ("", _JUST_SUSPENDED)][-1:]
        # nobody says that there is no Kueue, or no such queue
        why = f" ({shorten(latest[0])})" if latest else "; `fmdj doctor` tells whether there is such a queue"
        return Standing(Case.QUEUED_BY_KUEUE, f"Queued: Kueue hasn't admitted it yet, queue {job.queue}{why}.")
    if job.suspended:
        return Standing(Case.SUSPENDED, "Suspended: somebody paused this Job (`kubectl patch`), and must let it go on.")
    if job.ending:
        return Standing(Case.ENDING, "It has ended and is being cleared up.")
    refused = told.about_job("FailedCreate")
    if not refused:
        return Standing(Case.NEW, "It has just been made and has no pod yet.")
    found = pod_refusal(refused[-1].message)
    grace_s = float(getattr(settings, found.grace)) if found.grace else 0.0
    start = first_told(refused, job.created)
    lasts = not found.grace or (start is not None and (now - start).total_seconds() > grace_s)
    return Standing(found.case, found.words, found.final if lasts else None)
