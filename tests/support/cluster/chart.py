"""What tests give the chart on a real cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from tests.support.cluster.pods import pull_secrets

CONTROLLER_IMAGE = "FMDJ_TEST_CONTROLLER_IMAGE"
_SERVERS = {"mysql": "FMDJ_TEST_MYSQL_IMAGE", "objectStore": "FMDJ_TEST_S3_IMAGE"}


def image_values(name: str, image: str) -> list[str]:
    """Return the values that name an image of ours."""
    repository, at, digest = image.partition("@")
    colon = repository.rfind(":")
    tagged = colon > repository.rfind("/")
    tag = repository[colon + 1 :] if tagged else ""
    repository = repository[:colon] if tagged else repository
    values = [f"images.{name}.repository={repository}", f"images.{name}.tag={tag}"]
    return values + ([f"images.{name}.digest={digest}"] if at else [])


def evaluation_values(worker_image: str) -> Sequence[str]:
    """Return ``name=value`` for every value that the evaluation servers and our images need on this cluster.

    The test is skipped where FMDJ_TEST_CONTROLLER_IMAGE names no image.
    """
    controller = os.environ.get(CONTROLLER_IMAGE)
    if not controller:
        pytest.skip(f"{CONTROLLER_IMAGE} names no controller image")
    chosen = [*image_values("controller", controller), *image_values("worker", worker_image)]
    chosen += [f"images.pullSecrets[{index}]={name}" for index, name in enumerate(pull_secrets())]
    chosen += ["settings.controller.interval_s=1", "settings.load.interval_s=1"]
    return chosen + [
        f"evaluation.{name}.image={os.environ[other]}" for name, other in _SERVERS.items() if other in os.environ
    ]
