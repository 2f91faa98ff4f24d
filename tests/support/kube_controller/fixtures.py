"""Fixtures of the tests that run a whole controller on a fake cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.settings import DatabaseSettings, S3Settings
from fmdj_cloud.storage import Store
from tests.support.kube_controller.world import KubeWorld, Premises, kube_world, premises


@pytest.fixture(scope="session")
def kube_premises(
    database_server: DatabaseSettings,
    s3_settings: S3Settings,
    store: Store,
    _s3_client: Any,
    once_per_server: Callable[..., Premises],
) -> Premises:
    """A lab without tasks, declared once per server."""
    settings = database_server.model_copy(update={"prefix": f"{database_server.prefix}kube_"})

    def make() -> Any:
        name = f"kube-{database_server.backend}-{database_server.port}"
        _s3_client.create_bucket(Bucket=name)
        return premises(settings, s3_settings, store, f"s3://{name}")

    return once_per_server("kube-controller", settings, make)


@pytest.fixture
def world(kube_premises: Premises, tmp_path: Path) -> Iterator[KubeWorld]:
    """A lab on a fake cluster, without tasks."""
    with kube_world(kube_premises, tmp_path) as made:
        yield made
