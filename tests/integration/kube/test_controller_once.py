"""``fmdj controller --once`` as a CronJob's pod runs it: a process of its own, alone and beside a leader."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fmdj_cloud.contracts import RunState
from fmdj_cloud.demo.keeper import plain
from fmdj_cloud.settings import DatabaseSettings
from tests.support.kube import behaviour as does
from tests.support.kube_controller.fixtures import kube_premises, world
from tests.support.kube_controller.world import KubeWorld

__all__ = ["kube_premises", "world"]
pytestmark = pytest.mark.integration

FASTER = 10.0
"""So many seconds of the cluster pass in one of ours."""


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """One kind of database: these tests are about Kubernetes."""
    return postgres_settings


def begin(world: KubeWorld, folder: Path, **controller: Any) -> subprocess.Popen[str]:
    """Start ``fmdj controller --once``."""
    settings = world.with_controller(interval_s=0.2, **controller)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(plain(settings)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FMDJ")}
    return subprocess.Popen(
        [sys.executable, "-m", "fmdj_cloud", "controller", "--once", "--timeout", "60"],
        env={**environment, "FMDJ_CONFIG": str(config)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for its end, and return what it said."""
    said, _ = process.communicate(timeout=90)
    assert process.returncode == code, said
    return said


def test_alone_it_leads_until_all_is_settled_and_tidies_up_when_it_comes_again(
    world: KubeWorld, tmp_path: Path
) -> None:
    world.cluster.script(None, does.oom(), world.workers.good(), times=None)
    keys = world.insert_tasks(3)
    world.cluster.go(FASTER)
    end(begin(world, tmp_path))
    assert [world.run_of(key).state for key in keys] == [RunState.PUBLISHED] * 3
    assert sorted(outcome for key in keys for outcome in world.outcomes(key)) == ["memory"] + ["published"] * 3
    assert world.workers.doubled == []
    (lease,) = world.cluster.list("leases")
    assert lease["spec"]["holderIdentity"] == "", "it lets another lead at once"

    end(begin(world, tmp_path))
    world.cluster.halt()
    world.cluster.settle()
    assert world.jobs() == []
    assert sum(len(world.outcomes(key)) for key in keys) == 4


def test_beside_a_leader_it_asks_and_waits(world: KubeWorld, tmp_path: Path) -> None:
    leader = world.start()
    leader.turn()
    keys = world.insert_tasks(3)
    process = begin(world, tmp_path)
    while process.poll() is None:
        world.cluster.advance(1)
        assert leader.turn().leading
    end(process)

    assert [world.run_of(key).state for key in keys] == [RunState.PUBLISHED] * 3
    (request,) = world.ledger.requests("done")
    assert (request.what, request.sentence) == ("drain", "All is settled.")
    (lease,) = world.cluster.list("leases")
    assert lease["spec"]["holderIdentity"] == leader.elector.holder
    assert world.cluster.requests.count(lambda one: one.verb == "create" and one.resource == "jobs") == 3
