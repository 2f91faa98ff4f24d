"""Labels and annotations of our objects, and the one selector that finds them."""

from __future__ import annotations

INSTANCE = "fmdj.dev/instance"
"""Label: name of the installation. Everything of ours has it; one release never sees another's."""
RUN = "fmdj.dev/run"
ATTEMPT = "fmdj.dev/attempt"
KIND = "fmdj.dev/kind"
PIPELINE = "fmdj.dev/pipeline"
PROFILE = "fmdj.dev/profile"
STAGE = "fmdj.dev/stage"
"""Labels of Jobs and their pods; the last only where an attempt has several stages."""
SPEC_SHA256 = "fmdj.dev/spec-sha256"
SPEC_URI = "fmdj.dev/spec-uri"
TASK = "fmdj.dev/task"
GIVEN_UP = "fmdj.dev/given-up"
"""Annotations of Jobs; the last holds the :class:`~fmdj_cloud.contracts.Outcome` as JSON."""
FINALIZER = "fmdj.dev/cancel"
"""Finalizer of a FacemapRun: what it started is cancelled before it goes."""
GROUP = "fmdj.dev"
VERSION = "v1alpha1"
PLURAL = "facemapruns"


def selector(instance: str) -> str:
    """Return the label selector of an installation's objects."""
    return f"{INSTANCE}={instance}"
