"""Pods that tests make beside the workers."""

from __future__ import annotations

import os
from typing import Any

from tests.support.cluster.kubectl import Json

PULL_SECRET = "FMDJ_TEST_PULL_SECRET"
"""namespace/name of a Secret with registry credentials, copied into the namespace of the tests."""


def pull_secrets() -> list[str]:
    """Return the names of the Secrets that images are pulled with."""
    found = os.environ.get(PULL_SECRET)
    return [found.partition("/")[2]] if found else []


def restricted_pod(name: str, image: str, command: list[str], **container: Any) -> Json:
    """Return a pod that the restricted Pod Security standard lets run."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "imagePullSecrets": [{"name": secret} for secret in pull_secrets()],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "command": command,
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    **container,
                }
            ],
        },
    }
