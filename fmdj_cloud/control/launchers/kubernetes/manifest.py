"""The Job of an attempt, or of one of its stages, as plain data: nothing is asked, nothing is sent.

One Job, one pod, one try: Kubernetes never starts a second pod for a failed one, since every retry is an attempt of
its own that the ledger knows. Only a Job with a pod for every shard tries again by itself (:mod:`.indexed`). A
manifest never holds a secret.
"""

from __future__ import annotations

from typing import Any

from fmdj_cloud.contracts import JobRequest
from fmdj_cloud.control.launchers.kubernetes.checks import check_storage, profile_of
from fmdj_cloud.control.launchers.kubernetes.containers import WORKER
from fmdj_cloud.control.launchers.kubernetes.identity import QUEUE, job_annotations, job_labels
from fmdj_cloud.control.launchers.kubernetes.indexed import indexed_spec, is_indexed
from fmdj_cloud.control.launchers.kubernetes.pod import build_pod
from fmdj_cloud.settings import Settings

_EVIDENCE = {
    "rules": [
        {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": WORKER, "operator": "NotIn", "values": [0]}},
    ]
}
"""No pod is ever replaced, with or without it: these rules make the Job itself keep how its pod ended, which is gone a
second later when somebody deleted it."""
_ONE_POD = {
    "backoffLimit": 0,
    "completions": 1,
    "parallelism": 1,
    # a pod that is still ending isn't replaced: two of an attempt would compute the same
    "podReplacementPolicy": "Failed",
    "podFailurePolicy": _EVIDENCE,
}


def build_job(request: JobRequest, settings: Settings, *, instance: str) -> dict[str, Any]:
    """Return the ``batch/v1`` Job of an attempt.

    Parameters
    ----------
    request : JobRequest
    settings : Settings
        The controller's: `kubernetes` says what Jobs look like; `storage`, `worker` and `log` are handed on.
    instance : str
        Name of the installation.

    Raises
    ------
    ConfigError
        If nothing could work: an unknown profile or one without an image, an attempt that needs more than its
        profile gives, storage that a worker couldn't reach. The sentence names the setting.
    """
    name, profile = profile_of(request, settings)
    check_storage(request, name, profile, settings)
    labels = job_labels(request, instance=instance, profile=name)
    annotations = job_annotations(request)
    ours = {**profile.labels, **labels}
    template = {
        "metadata": {"labels": ours, "annotations": {**profile.annotations, **annotations}},
        "spec": build_pod(request, profile, settings, instance=instance, labels=labels),
    }
    tries = indexed_spec(request, settings.controller.shard_retries, WORKER) if is_indexed(request) else _ONE_POD
    spec: dict[str, Any] = {
        **tries,
        "ttlSecondsAfterFinished": settings.kubernetes.job_ttl_s,
        "template": template,
    }
    if profile.kueue_queue:
        spec["suspend"] = True  # until Kueue admits it
    queue = {QUEUE: profile.kueue_queue} if profile.kueue_queue else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": request.name, "labels": {**ours, **queue}, "annotations": annotations},
        "spec": spec,
    }
