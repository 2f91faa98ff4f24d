"""What is seen of our Jobs, as observations: pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fmdj_cloud import names
from fmdj_cloud.contracts import JobObservation, JobPhase, Stage
from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.launchers.kubernetes.diagnosis import Finding
from fmdj_cloud.control.launchers.kubernetes.fields import moment
from fmdj_cloud.control.launchers.kubernetes.pods import Pod, read_pods

_CONTROLLER_UID = ("batch.kubernetes.io/controller-uid", "controller-uid")
_JOB_NAME = ("batch.kubernetes.io/job-name", "job-name")


def uid_of(thing: Mapping[str, Any]) -> str:
    """Return an object's UID."""
    return str(_metadata(thing).get("uid") or "")


def is_ours(job: Mapping[str, Any], instance: str) -> bool:
    """Tell whether a Job belongs to an installation."""
    return _labels(job).get(labels.INSTANCE) == instance


def is_being_deleted(job: Mapping[str, Any]) -> bool:
    """Tell whether somebody has begun to delete a Job."""
    return _metadata(job).get("deletionTimestamp") is not None


def spec_sha256(job: Mapping[str, Any]) -> str:
    """Return the digest of the spec that a Job computes."""
    return str((_metadata(job).get("annotations") or {}).get(labels.SPEC_SHA256) or "")


def owned(job: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the pods that a Job has made, of those of all Jobs that had its name."""
    uid = uid_of(job)
    return [pod for pod in pods if _maker(pod) in ("", uid)]


def orphans(
    jobs: Mapping[str, Mapping[str, Any]], pods: Iterable[Mapping[str, Any]]
) -> list[tuple[dict[str, Any], list[Mapping[str, Any]]]]:
    """Return Jobs that don't exist any more although pods of theirs do, with those pods.

    Somebody has deleted such a Job and not waited for its pods, or left them. They may compute for hours yet, so the
    Job isn't over.

    Parameters
    ----------
    jobs : mapping of str to mapping
        All Jobs by name.
    pods : iterable of mapping
        All pods.
    """
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for pod in pods:
        name, maker = _first(_labels(pod), _JOB_NAME), _maker(pod)
        job = jobs.get(name)
        if name and maker and (job is None or uid_of(job) != maker):
            found.setdefault((name, maker), []).append(pod)
    return [(_as_job(name, uid, group[0]), group) for (name, uid), group in found.items()]


def observation(
    job: Mapping[str, Any],
    pods: Iterable[Mapping[str, Any]],
    finding: Finding,
    now: dt.datetime,
    *,
    instance: str,
    namespace: str,
) -> JobObservation:
    """Return what the controller is told of a Job.

    Parameters
    ----------
    job : mapping
    pods : iterable of mapping
        Its own.
    finding : Finding
    now : datetime
    instance : str
        Name of the installation. A Job with its label that isn't called as it would call it belongs to no run.
    namespace : str
    """
    name = str(_metadata(job).get("name") or "")
    run_id, attempt, stage = _run(name, _labels(job), instance)
    created = moment(_metadata(job).get("creationTimestamp"))
    return JobObservation(
        name=name,
        run_id=run_id,
        attempt=attempt,
        uid=uid_of(job),
        spec_sha256=spec_sha256(job),
        phase=finding.phase,
        outcome=finding.outcome,
        nonces=finding.nonces,
        log=f"kubectl logs --namespace {namespace} job/{name}",
        waiting=finding.waiting,
        node=finding.node,
        on_node_s=on_node_s(pods, now) if finding.phase is JobPhase.ENDED else None,
        give_up=finding.give_up,
        leaked=finding.leaked,
        stage=stage,
        shards=finding.shards,
        pods=finding.pods,
        spoke=finding.spoke,
        created=created.astimezone(dt.UTC).replace(tzinfo=None) if created is not None else None,
    )


def on_node_s(pods: Iterable[Mapping[str, Any]], now: dt.datetime) -> float | None:
    """Return how long pods have held a machine, all together; None if none is known to have had one."""
    held = [_held_s(pod, now) for pod in read_pods(pods) if pod.node and pod.accepted is not None]
    return sum(held) if held else None


def _held_s(pod: Pod, now: dt.datetime) -> float:
    finished = [c.ended.finished for c in pod.containers if c.ended is not None and c.ended.finished is not None]
    # without an end of its own its machine was gone by the time it was to be deleted
    until = max(finished, default=pod.deleting) if pod.over else now
    start = pod.accepted
    return 0.0 if start is None or until is None else max(0.0, (until - start).total_seconds())


def _run(name: str, found: Mapping[str, Any], instance: str) -> tuple[str, int, Stage]:
    run_id, attempt = str(found.get(labels.RUN) or ""), str(found.get(labels.ATTEMPT) or "")
    stage = str(found.get(labels.STAGE) or Stage.ALL.value)
    if not (attempt.isascii() and attempt.isdecimal() and len(attempt) < 10) or stage not in frozenset(Stage):
        return "", 0, Stage.ALL
    if names.job_name(run_id, int(attempt), instance, Stage(stage)) != name:
        return "", 0, Stage.ALL
    return run_id, int(attempt), Stage(stage)


def _as_job(name: str, uid: str, pod: Mapping[str, Any]) -> dict[str, Any]:
    metadata = _metadata(pod)
    return {
        "metadata": {
            "name": name,
            "uid": uid,
            "labels": metadata.get("labels") or {},
            "annotations": metadata.get("annotations") or {},
            "creationTimestamp": metadata.get("creationTimestamp"),
            "deletionTimestamp": metadata.get("deletionTimestamp") or metadata.get("creationTimestamp"),
        },
        "spec": {},
        "status": {},
    }


def _maker(pod: Mapping[str, Any]) -> str:
    """Return the UID of the Job that has made a pod."""
    return _first(_labels(pod), _CONTROLLER_UID)


def _first(found: Mapping[str, Any], keys: Sequence[str]) -> str:
    return str(next((found[key] for key in keys if key in found), ""))


def _metadata(thing: Mapping[str, Any]) -> Mapping[str, Any]:
    return thing.get("metadata") or {}


def _labels(thing: Mapping[str, Any]) -> Mapping[str, Any]:
    return _metadata(thing).get("labels") or {}
