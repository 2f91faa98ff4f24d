"""Who may look at a namespace sees Jobs, Pods and Events: none of them tells a secret, however a run ends."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from fmdj_cloud.contracts import RunState
from fmdj_cloud.settings import DatabaseSettings
from tests.support.kube import behaviour as does
from tests.support.kube_controller.fixtures import kube_premises, world
from tests.support.kube_controller.world import KubeWorld

__all__ = ["kube_premises", "world"]
pytestmark = pytest.mark.integration
CANARIES = tuple(f"canary-of-the-{what}" for what in ("database", "bucket", "session", "environment"))


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """One kind of database: these tests are about Kubernetes."""
    return postgres_settings


@pytest.fixture
def told(world: KubeWorld, monkeypatch: pytest.MonkeyPatch) -> KubeWorld:
    """A lab whose controller is given canaries in every way that there is."""
    password, key, token, environment = CANARIES
    settings = world.settings
    s3 = settings.storage.s3.model_copy(
        update={"secret_access_key": SecretStr(key), "access_key_id": SecretStr(key), "session_token": SecretStr(token)}
    )
    update = {
        "storage": settings.storage.model_copy(update={"s3": s3}),
        "database": settings.database.model_copy(update={"password": SecretStr(password)}),
    }
    world.settings = settings.model_copy(update=update)
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "FMDJ_STORAGE__S3__SESSION_TOKEN", "DJ_PASS"):
        monkeypatch.setenv(name, environment)
    return world


def test_nothing_in_the_cluster_but_secrets_holds_one(told: KubeWorld) -> None:
    program = told.start()
    told.script(does.oom(), does.config_error('secret "bucket" not found'))
    failed = told.insert_task()
    told.until_state(program, failed, RunState.FAILED, seconds=60)
    told.script(told.workers.does(lasts_s=2, finish=told.workers.publish))
    done = told.insert_task()
    told.until_state(program, done, RunState.LOADED, seconds=60)
    shown = {kind: told.cluster.list(kind) for kind in ("jobs", "pods", "events", "leases")}
    assert shown["events"]
    text = json.dumps(shown) + "".join(request.body.decode() for request in told.cluster.requests)
    assert "secretKeyRef" in text, "Jobs were looked at, which are gone by now"
    assert [canary for canary in CANARIES if canary in text] == []
