"""A Job with a pod for every shard: how it tries again, as plain data.

A shard that fails is computed again in the same Job, so that the others aren't disturbed, `controller.shard_retries`
times; after that the attempt is over, and the next one uses what was finished. What no other try would change ends
the whole Job at once, and what only more memory, disk or time would change ends the shard.
"""

from __future__ import annotations

from typing import Any

from fmdj_cloud.contracts import JobRequest, Stage
from fmdj_cloud.control.launchers.tries import FINAL, LACKING, failed_max

INDEX = "JOB_COMPLETION_INDEX"
"""Variable that Kubernetes sets in the pods of such a Job."""
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
"""Label (and annotation) of its pods."""


def is_indexed(request: JobRequest) -> bool:
    """Tell whether a request takes a pod for every shard."""
    return request.stage is Stage.PROJECT


def indexed_spec(request: JobRequest, retries: int, container: str) -> dict[str, Any]:
    """Return what an Indexed Job has in the place of `backoffLimit` and the like.

    Parameters
    ----------
    request : JobRequest
    retries : int
        How often each shard is tried again.
    container : str
        Name of the worker's.
    """
    return {
        "completionMode": "Indexed",
        "completions": request.shards,
        "parallelism": request.pods,
        "backoffLimitPerIndex": retries,
        "maxFailedIndexes": failed_max(request.shards),
        # two of a shard would compute the same
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                # first: a machine that goes away kills with 137, too. Counted, so that spot nodes don't do it for ever
                {"action": "Count", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                _by_code("FailJob", FINAL, container),
                _by_code("FailIndex", LACKING, container),
            ]
        },
    }


def _by_code(action: str, codes: tuple[int, ...], container: str) -> dict[str, Any]:
    return {"action": action, "onExitCodes": {"containerName": container, "operator": "In", "values": list(codes)}}
