"""The controller dies while it gives up or cancels; two at a time, and one that wakes up too late."""

from __future__ import annotations

from typing import Any

import pytest

from fmdj_cloud.contracts import FailureClass, RunState, Wanted
from fmdj_cloud.control.kube import labels
from fmdj_cloud.settings import DatabaseSettings
from tests.support.kube import behaviour as does
from tests.support.kube_controller.deaths import Key, deaths, made, succeeded, told
from tests.support.kube_controller.doom import DoomedProgram
from tests.support.kube_controller.fixtures import kube_premises, world
from tests.support.kube_controller.program import Program
from tests.support.kube_controller.world import KubeWorld

__all__ = ["kube_premises", "world"]
pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """One kind of database: the ledger's own tests run on every kind."""
    return postgres_settings


class TestDeaths:
    def test_what_is_given_up_ends_once_and_for_its_reason(self, world: KubeWorld) -> None:
        world.settings = world.with_kubernetes(image_grace_s=20)
        world.script(does.bad_image())
        died, lost_at = set(), list[str]()
        for step, key in deaths(world, lambda program, key: world.until_state(program, key, RunState.FAILED)):
            run = world.run_of(key)
            # the Job took the reason along if it was gone before anybody else looked
            lost = ["vanished"] if world.outcomes(key)[0] == "vanished" else []
            assert (run.failure_class, world.outcomes(key)) == (FailureClass.IMAGE, [*lost, "image"]), step
            assert "registry/worker:1" in run.sentence
            assert set(made(world, run.run_id).values()) == {1}, step
            if lost:
                lost_at.append(step)
            died.add(step.split()[1])
        assert died >= {"patch", "delete", "COMMIT", "create"}
        assert lost_at[0].split()[1] == "delete"
        assert len(lost_at) <= 4
        assert not world.workers.starts

    def test_what_is_cancelled_is_stopped_first(self, world: KubeWorld) -> None:
        world.script(world.workers.does(lasts_s=None))

        def live(program: Program, key: Key) -> None:
            program.turn()
            run = world.run_of(key)
            if run.state is RunState.LAUNCHED and run.wanted is Wanted.RUN:
                world.turn(program)
                world.ledger.want(run, Wanted.CANCEL, "Somebody asked for it.")
            world.until_state(program, key, RunState.CANCELLED)

        for step, key in deaths(world, live):
            assert world.workers.starts[world.run_of(key).run_id, "1"] <= 1, step
        assert world.workers.doubled == []


class TestTwo:
    def test_one_works_and_the_other_stands_by(self, world: KubeWorld) -> None:
        first, second = world.start(), world.start()
        first.turn()
        keys = world.insert_tasks(6)
        for _ in range(40):
            world.cluster.advance(3)
            assert second.turn().leading is False
            assert first.turn().leading is True
            world.load()
        assert [world.outcomes(key) for key in keys] == [["published"]] * 6
        assert world.jobs() == []
        (lease,) = world.cluster.list("leases")
        assert lease["spec"]["holderIdentity"] == first.elector.holder
        assert lease["spec"]["leaseTransitions"] == 0

    def test_the_other_goes_on_when_the_lease_has_run_out_and_not_before(self, world: KubeWorld) -> None:
        first, second = world.start(), world.start()
        first.turn()
        world.script(world.workers.good(lasts_s=100))
        key = world.insert_task()
        world.turn(first)
        second.turn()
        first.close()
        world.programs.remove(first)
        epoch = world.ledger.leader()
        for _ in range(5):
            world.cluster.advance(5)
            assert second.turn().leading is False
        world.cluster.advance(6)
        assert second.turn().leading is True
        after = world.ledger.leader()
        assert epoch is not None
        assert after is not None
        assert after[1] == epoch[1] + 1
        world.until_state(second, key, RunState.LOADED)
        assert world.outcomes(key) == ["published"]
        assert sum(world.workers.starts.values()) == 1

    def test_one_that_resigns_is_followed_at_once(self, world: KubeWorld) -> None:
        first, second = world.start(), world.start()
        first.turn()
        second.turn()
        first.controller._resign()
        assert second.turn().leading is True
        assert first.turn().leading is False

    def test_one_that_wakes_up_after_its_successor_changes_nothing(self, world: KubeWorld) -> None:
        """It sleeps before each of its steps, while all of the task's life goes by without it."""
        world.cluster.script({labels.ATTEMPT: "1"}, does.Behaviour(run=world.workers.note, exit=does.oom().exit))
        slept = 0
        for at in range(1, 100):
            stale, other = world.start(make=DoomedProgram), world.start()
            succeeded(world, stale)
            stale.turn()
            key = world.insert_task()
            story: list[Any] = []

            def meanwhile(other: Program = other, key: Key = key, story: list[Any] = story) -> None:
                succeeded(world, other)
                other.turn()
                world.until_state(other, key, RunState.LOADED)
                story.append(told(world, key))

            stale.doom.sleep(at, meanwhile)
            for _ in range(8):
                world.turn(stale)
                if story:
                    break
            else:
                world.until_state(stale, key, RunState.LOADED)
                break
            slept += 1
            step = f"{at}: {stale.doom.steps[at - 1]}"
            assert told(world, key) == story[0], step
            assert stale.turn().leading is False, step
            world.until(other, lambda: not world.jobs() and not world.pods(), f"the end of what {step} has made")
            assert told(world, key) == story[0], step
            for program in (stale, other):
                program.close()
                world.programs.remove(program)
        assert slept > 15
        assert world.workers.doubled == []
