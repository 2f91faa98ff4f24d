"""A Job with a pod for every shard: how it ended, and how it stands, by what its pods say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from fmdj_cloud.contracts import FailureClass, Outcome
from fmdj_cloud.control.diagnose import worst_of
from fmdj_cloud.control.launchers.kubernetes.cases import Case
from fmdj_cloud.control.launchers.kubernetes.endings import ending, outcome_of
from fmdj_cloud.control.launchers.kubernetes.events import Events
from fmdj_cloud.control.launchers.kubernetes.jobs import Job
from fmdj_cloud.control.launchers.kubernetes.pods import Pod
from fmdj_cloud.control.launchers.kubernetes.starting import Standing, standing
from fmdj_cloud.settings import KubernetesSettings

_NEXT = Standing(Case.STARTING, "Its next shard is about to start.")


def newest_of_each(found: Iterable[Pod]) -> list[Pod]:
    """Return the newest Pod of every shard, by shard.

    Parameters
    ----------
    found : iterable of Pod
        Oldest first.
    """
    by_index = {pod.index: pod for pod in found if pod.index is not None}
    return [by_index[index] for index in sorted(by_index)]


def worst_ending(job: Job, found: Sequence[Pod], silent: Sequence[Pod]) -> tuple[Outcome, Pod] | None:
    """Return how the shard ended that matters most, and its Pod; None if no Pod tells.

    Parameters
    ----------
    job : Job
        Is over, and not complete.
    found : sequence of Pod
        Oldest first.
    silent : sequence of Pod
        Those that count as over since their machine is silent.
    """
    told = []
    for pod in newest_of_each(found):
        if pod.index in job.done:
            continue
        if pod in silent:
            outcome: Outcome | None = outcome_of(Case.NODE_SILENT, "", pod, reason=pod.reason, message=pod.message)
        else:
            outcome = ending(pod, stopped=job.deleting)
        if outcome is not None and not outcome.ok:
            told.append((_of_shard(outcome, pod, job.shards), pod))
    place = worst_of([outcome.failure_class or FailureClass.CRASH for outcome, _ in told])
    return None if place is None else told[place]


def shards_standing(
    job: Job, alive: Sequence[Pod], begun: bool, events: Events, now: dt.datetime, settings: KubernetesSettings
) -> Standing | None:
    """Return how such a Job stands while it may make Pods; None if what is told of the Job itself says it.

    Nothing is given up while one shard computes: what the others wait for may be their machines' affair.

    Parameters
    ----------
    job : Job
    alive : sequence of Pod
        Oldest first.
    begun : bool
        Whether it has had Pods: then its template is none that the cluster refuses.
    events : Events
    now : datetime
    settings : KubernetesSettings
    """
    stands = [standing(pod, events, job.profile, now, settings) for pod in alive if pod.deleting is None]
    computing = next((stand for stand in stands if stand.case in (Case.RUNNING, Case.ENDING)), None)
    if computing is not None:
        return Standing(computing.case, computing.waiting)
    hopeless = next((stand for stand in stands if stand.give_up is not None), None)
    if hopeless is not None:
        return hopeless
    if stands:
        return stands[-1]
    return _NEXT if begun else None


def _of_shard(outcome: Outcome, pod: Pod, shards: int) -> Outcome:
    evidence = outcome.evidence | {"shard": str(pod.index)}
    sentence = f"Shard {pod.index} of {shards}: {outcome.sentence}"
    return outcome.model_copy(update={"sentence": sentence, "evidence": evidence})
