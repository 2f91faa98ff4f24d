"""The controller dies after each of its steps, and another goes on; on every kind of database."""

from __future__ import annotations

from collections import Counter

import pytest

from fmdj_cloud.contracts import RunState
from fmdj_cloud.control.kube import labels
from tests.support.kube import behaviour as does
from tests.support.kube_controller.deaths import deaths, made
from tests.support.kube_controller.fixtures import kube_premises, world
from tests.support.kube_controller.world import KubeWorld

__all__ = ["kube_premises", "world"]
pytestmark = pytest.mark.integration


def test_nothing_is_launched_twice_and_nothing_forgotten(world: KubeWorld) -> None:
    world.cluster.script({labels.ATTEMPT: "1"}, does.Behaviour(run=world.workers.note, exit=does.oom().exit))
    died = Counter[str]()
    for step, key in deaths(world, lambda program, key: world.until_state(program, key, RunState.LOADED)):
        run = world.run_of(key)
        assert world.outcomes(key) == ["memory", "published"], step
        assert run.failures == {"memory": 1}, step
        assert made(world, run.run_id) == {"1": 1, "2": 1}, step
        assert world.workers.starts[run.run_id, "1"] == world.workers.starts[run.run_id, "2"] == 1, step
        died[step.split()[1]] += 1
    assert world.workers.doubled == []
    assert died.keys() == {"COMMIT", "create", "delete", "discard_unfinished", "put_bytes", "update"}
    assert died["COMMIT"] >= 8
    assert died["create"] >= 2
