"""A Job, as far as its metadata, spec and status tell."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from fmdj_cloud.contracts import Outcome
from fmdj_cloud.control.kube.labels import GIVEN_UP, PROFILE
from fmdj_cloud.control.launchers.kubernetes.fields import count, mapping, moment, number, text
from fmdj_cloud.control.launchers.kubernetes.identity import QUEUE
from fmdj_cloud.control.launchers.kubernetes.pods import Condition, read_conditions


@dataclass(frozen=True)
class Job:
    """What is known of a Job.

    Attributes
    ----------
    profile, queue : str
        Of its labels; a queue is Kueue's.
    created : datetime or None
    suspended : bool
        Whether it may have no Pods now.
    deleting : bool
    foreground : bool
        Whether it stays until its Pods are gone, when it is deleted.
    complete, failed : Condition or None
        How it ended.
    ending : bool
        Whether it makes no Pods any more, though it isn't over yet.
    active : int
        Pods that it says to have, those that end included.
    given_up : Outcome or None
        Why we stop it.
    indexed : bool
        Whether it has a pod for every shard.
    shards, pods : int
        Pods that it takes in all, and may still have at a time.
    done : frozenset of int
        Shards that have succeeded.
    """

    profile: str
    queue: str
    created: dt.datetime | None
    suspended: bool
    deleting: bool
    foreground: bool
    complete: Condition | None
    failed: Condition | None
    ending: bool
    active: int
    given_up: Outcome | None
    indexed: bool = False
    shards: int = 1
    pods: int = 1
    done: frozenset[int] = frozenset()


def read_job(job: Mapping[str, object]) -> Job:
    """Return what is known of a Job."""
    metadata, spec, status = mapping(job.get("metadata")), mapping(job.get("spec")), mapping(job.get("status"))
    labels = mapping(metadata.get("labels"))
    holds = {name: condition for name, (on, condition) in read_conditions(status).items() if on}
    finalizers = metadata.get("finalizers")
    indexed = spec.get("completionMode") == "Indexed"
    shards = max(1, number(spec.get("completions")) or 1)
    left = max(1, shards - count(status.get("succeeded")))
    return Job(
        profile=text(labels.get(PROFILE)),
        queue=text(labels.get(QUEUE)),
        created=moment(metadata.get("creationTimestamp")),
        suspended=spec.get("suspend") is True,
        deleting=bool(metadata.get("deletionTimestamp")),
        foreground=isinstance(finalizers, list | tuple) and "foregroundDeletion" in finalizers,
        complete=holds.get("Complete"),
        failed=holds.get("Failed"),
        ending="FailureTarget" in holds or "SuccessCriteriaMet" in holds,
        active=count(status.get("active")) + count(status.get("terminating")),
        given_up=_read_outcome(mapping(metadata.get("annotations")).get(GIVEN_UP)),
        indexed=indexed,
        shards=shards if indexed else 1,
        pods=max(1, min(number(spec.get("parallelism")) or 1, left)) if indexed else 1,
        done=read_indexes(text(status.get("completedIndexes")), shards) if indexed else frozenset(),
    )


def read_indexes(words: str, shards: int) -> frozenset[int]:
    """Return the indexes that a Job's status names as ``0,2-4``; what can't be read is left out.

    Parameters
    ----------
    words : str
    shards : int
        How many there are: others aren't returned.
    """
    found: set[int] = set()
    for piece in words.split(","):
        ends = [int(end) for end in piece.split("-") if end.isascii() and end.isdecimal() and len(end) < 10]
        if 1 <= len(ends) <= 2 and len(ends) == piece.count("-") + 1:
            found.update(range(ends[0], min(ends[-1], shards - 1) + 1))
    return frozenset(found)


def _read_outcome(annotation: object) -> Outcome | None:
    if not isinstance(annotation, str):
        return None
    try:
        outcome = Outcome.model_validate_json(annotation)
    except ValidationError:
        return None
    return None if outcome.ok else outcome
