"""Labels and annotations of a Job: what it is, for our selector and for people.

Specification
-------------
- A *label's value* is the text itself if Kubernetes takes it (at most 63 letters, digits, ``-``, ``_``, ``.``, the
  first and the last a letter or digit; empty is allowed). Else every other character becomes ``-``, the result is
  cut to 54 characters and stripped of ``-_.`` at both ends, and ``-`` and 8 hex digits of the text's SHA-256 follow
  (those digits alone if nothing is left), so that two texts never share a value.
- A *task's key* is shortened to 2,000 characters: annotations are bounded, and it is there to be read.
"""

from __future__ import annotations

import re

from fmdj_cloud.contracts import JobRequest, Stage
from fmdj_cloud.control.kube import labels as names
from fmdj_cloud.names import sha256_text

QUEUE = "kueue.x-k8s.io/queue-name"
"""Label of a Job that Kueue admits."""
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_CUT = 54
_TASK_MAX = 2000


def label_value(text: str) -> str:
    """Return `text` as a label's value, by the rule above."""
    if _VALUE.fullmatch(text):
        return text
    kept = re.sub(r"[^A-Za-z0-9._-]", "-", text)[:_CUT].strip("-_.")
    return f"{kept}-{sha256_text(text)[:8]}".lstrip("-")


def job_labels(request: JobRequest, *, instance: str, profile: str) -> dict[str, str]:
    """Return the labels of a Job and of its pod.

    Parameters
    ----------
    request : JobRequest
    instance : str
        Name of the installation: it stands as it is, else the selector wouldn't find it.
    profile : str
        Name of the profile that the request takes.
    """
    stage = {} if request.stage is Stage.ALL else {names.STAGE: request.stage.value}
    return {
        "app.kubernetes.io/name": "fmdj-cloud",
        "app.kubernetes.io/component": "worker",
        "app.kubernetes.io/managed-by": "fmdj-controller",
        names.INSTANCE: instance,
        names.RUN: label_value(request.run_id),
        names.ATTEMPT: str(request.attempt),
        names.KIND: request.kind.value,
        names.PIPELINE: label_value(request.pipeline),
        names.PROFILE: label_value(profile),
        **stage,
    }


def job_annotations(request: JobRequest) -> dict[str, str]:
    """Return the annotations of a Job and of its pod."""
    task = request.task if len(request.task) <= _TASK_MAX else f"{request.task[: _TASK_MAX - 1]}…"
    return {names.SPEC_SHA256: request.spec_sha256, names.SPEC_URI: request.spec_uri, names.TASK: task}
