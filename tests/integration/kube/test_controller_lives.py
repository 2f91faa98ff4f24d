"""The life of a run on Kubernetes, whole: every way in which it ends, as the ledger, the cluster and people see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from fmdj_cloud.contracts import FailureClass, RunState, TerminationMessage
from fmdj_cloud.control.advice import ADVICE
from fmdj_cloud.settings import DatabaseSettings
from tests.support.kube import admissions
from tests.support.kube import behaviour as does
from tests.support.kube.behaviour import Behaviour, ContainerStart, Exit
from tests.support.kube.cluster import FakeCluster
from tests.support.kube_controller.fixtures import kube_premises, world
from tests.support.kube_controller.worker import Workers
from tests.support.kube_controller.world import KubeWorld

__all__ = ["kube_premises", "world"]
pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """One kind of database: these tests are about Kubernetes."""
    return postgres_settings


Lives = Callable[[Workers], tuple[Behaviour, ...]]


def exits(code: int, sentence: str = "The worker says why.") -> Lives:
    word = TerminationMessage(code="told", exit_code=code, sentence=sentence).model_dump_json()
    return lambda workers: (workers.does(lasts_s=2, exit=Exit(code, word)),)


def only(behaviour: Behaviour) -> Lives:
    return lambda _: (behaviour,)


def troubled(kind: str, **more: Any) -> Lives:
    return only(does.troubled(kind, after_s=3, **more))


@dataclass(frozen=True)
class Case:
    """How attempts fare, and what becomes of their run."""

    lives: Lives
    """What the pods of every attempt do."""
    outcomes: str
    """How the attempts end, in order; ``memory*4`` is four times the same."""
    why: str
    """Part of what people are told."""
    evidence: dict[str, str] = field(default_factory=dict)
    """Part of what is kept of the last attempt."""
    profile: dict[str, Any] = field(default_factory=dict)
    before: Callable[[FakeCluster], object] | None = None

    @property
    def alone(self) -> bool:
        """Whether it needs a cluster or settings of its own."""
        return bool(self.profile or self.before)

    @property
    def expected(self) -> list[str]:
        words = (word.partition("*") for word in self.outcomes.split())
        return [name for name, _, times in words for _ in range(int(times or 1))]


FINAL = {
    "input: the worker refuses it": Case(exits(10), "input", "The worker says why.", {"exit_code": "10"}),
    "config: the worker refuses a setting": Case(exits(20), "config", "The worker says why."),
    "config: a Secret is missing": Case(
        only(does.config_error('secret "bucket" not found')), "config", 'secret "bucket" not found'
    ),
    "config: the image's name is none": Case(
        only(Behaviour(waiting="InvalidImageName", waiting_message="couldn't parse image name")), "config", "image"
    ),
    "config: a volume doesn't mount": Case(
        only(Behaviour(mount='MountVolume.SetUp failed for volume "lab" : secret "lab" not found')), "config", "lab"
    ),
    "config: a policy refuses the Job": Case(
        exits(0),
        "config",
        "images must be pinned by digest",
        before=lambda cluster: cluster.refuse("jobs", None, admissions.by_webhook()),
    ),
    "config: a policy refuses the pod": Case(
        exits(0),
        "config",
        "images must be pinned by digest",
        before=lambda cluster: cluster.refuse("pods", None, admissions.by_webhook()),
    ),
    "config: no image is set": Case(exits(0), "config", "image is empty", profile={"image": ""}),
    "storage: again and again": Case(exits(30), "storage*3", "Tried 3 times."),
    "memory: the kernel kills it": Case(
        only(does.oom()), "memory*4", "Tried 4 times with up to", {"reason": "OOMKilled"}
    ),
    "memory: the kernel kills a child of it": Case(only(does.oom(code=0)), "memory*4", "Tried 4 times with up to"),
    "memory: it says so": Case(exits(50), "memory*4", "Tried 4 times with up to"),
    "memory: up to its cap": Case(
        exits(50), "memory*2", "of memory, the cap", profile={"memory_min_mib": 10000, "memory_max_mib": 12000}
    ),
    "memory: its node evicts it": Case(troubled("memory-pressure"), "memory*4", "Tried 4 times with up to"),
    "disk: its scratch is full": Case(troubled("emptydir-limit"), "disk*4", "MiB of scratch disk"),
    "disk: its node evicts it": Case(troubled("ephemeral-limit"), "disk*4", "MiB of scratch disk"),
    "disk: it says so": Case(exits(55), "disk*4", "MiB of scratch disk"),
    "gpu: it says so": Case(exits(40), "gpu*3", "Tried 3 times."),
    "gpu: nodes can't give it": Case(
        troubled("admission"), "gpu*3", "Tried 3 times.", profile={"gpu": 1}, before=lambda cluster: gpu_node(cluster)
    ),
    "disrupted: for ever": Case(troubled("eviction-api"), "disrupted*6", "Tried 6 times."),
    "image: it is nowhere": Case(only(does.bad_image()), "image", "registry/worker:1", {"case": "image-pull"}),
    "unschedulable: no node has the label": Case(
        only(does.unschedulable()),
        "unschedulable",
        "not the labels that its profile asks for",
        {"case": "unschedulable"},
    ),
    "budget: twice": Case(exits(60), "budget*2", "Tried 2 times with up to"),
    "crash: thrice": Case(exits(1), "crash*3", "Tried 3 times."),
    "crash: it says nothing": Case(only(does.fail(1)), "crash*3", "Tried 3 times."),
    "crash: it says done, and has published nothing": Case(exits(0), "crash*3", "published no valid manifest"),
}


def gpu_node(cluster: FakeCluster) -> None:
    cluster.add_node("gpu-1", cpu="64", memory="1Ti", **{"ephemeral-storage": "1Ti", "nvidia.com/gpu": "8"})


def check_final(world: KubeWorld, name: str, key: dict[str, Any]) -> None:
    """See that a run has failed for good, once, and that everybody is told why."""
    case, failure = FINAL[name], FailureClass(name.partition(":")[0])
    run = world.run_of(key)
    assert (run.state, run.failure_class, world.outcomes(key)) == (RunState.FAILED, failure, case.expected), name
    assert case.why in run.sentence, name
    assert case.evidence.items() <= world.attempts(key)[-1].evidence.items(), name
    explained = world.explained(key)
    assert (explained.state, explained.why) == ("failed", run.sentence), name
    assert explained.advice.startswith(ADVICE[failure]), name
    assert [line.outcome for line in explained.attempts] == case.expected, name


def live_all(world: KubeWorld, lives: dict[str, Lives], state: RunState, seconds: float) -> dict[str, dict[str, Any]]:
    """Let tasks fare as told, side by side, and return their keys once all are in a state and nothing is left."""
    world.settings = world.with_profile(max_active=len(lives))
    program = world.start()
    keys = dict(zip(lives, world.insert_tasks(len(lives)), strict=True))
    for name, key in keys.items():
        world.script(*lives[name](world.workers), key=key)
    for key in keys.values():
        world.until_state(program, key, state, seconds=seconds)
    assert world.workers.doubled == []
    return keys


def test_failures_that_last_are_final(world: KubeWorld) -> None:
    together = {name: case.lives for name, case in FINAL.items() if not case.alone}
    for name, key in live_all(world, together, RunState.FAILED, 30).items():
        check_final(world, name, key)


@pytest.mark.parametrize("name", [name for name, case in FINAL.items() if case.alone])
def test_a_failure_that_lasts_is_final(world: KubeWorld, name: str) -> None:
    case = FINAL[name]
    if case.before is not None:
        case.before(world.cluster)
    world.script(*case.lives(world.workers))
    world.settings = world.with_profile(**case.profile)
    program = world.start()
    key = world.insert_task()
    world.until_state(program, key, RunState.FAILED, seconds=30)
    check_final(world, name, key)


OTHERS_FILLED = "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi. "
PASSING = {
    "storage": exits(30),
    "memory": only(does.oom()),
    "disk": troubled("emptydir-limit"),
    "gpu": exits(40),
    "disrupted: a drain": troubled("eviction-api"),
    "disrupted: a taint": troubled("taint"),
    "disrupted: a more urgent pod": troubled("preempted"),
    "disrupted: its node is removed": troubled("podgc"),
    "disrupted: its node shuts down": troubled("shutdown"),
    "disrupted: its node is short of disk": troubled("disk-pressure", message=OTHERS_FILLED),
    "disrupted: its pod is deleted": troubled("deleted"),
    "disrupted: asked to stop": exits(143),
    "budget": exits(60),
    "crash": exits(1),
}


def test_failures_that_pass_cost_one_attempt(world: KubeWorld) -> None:
    lives = {
        name: lambda workers, life=life: (*life(workers), workers.good())  # type: ignore[misc]
        for name, life in PASSING.items()
    }
    for name, key in live_all(world, lives, RunState.LOADED, 5).items():
        failure = name.partition(":")[0]
        assert world.outcomes(key) == [failure, "published"], name
        assert world.run_of(key).failures == {failure: 1}, name
        first, second = world.attempts(key)
        assert (second.limits.memory_mib > first.limits.memory_mib) == (failure == "memory"), name
        assert (second.limits.scratch_mib > first.limits.scratch_mib) == (failure == "disk"), name
        assert (second.limits.time_budget_s > first.limits.time_budget_s) == (failure == "budget"), name
        assert world.explained(key).state == "done", name


def test_vanished_a_job_that_is_deleted_again_and_again_is_final(world: KubeWorld) -> None:
    world.script(world.workers.does(lasts_s=None, stop_s=1))
    program = world.start()
    key = world.insert_task()
    for _ in range(3):
        world.until(program, lambda: any(pod["status"]["phase"] == "Running" for pod in world.pods()))
        (job,) = world.jobs()
        world.cluster.delete("jobs", job["metadata"]["name"], policy="Background")
        world.cluster.advance(30)
        program.turn()
    run = world.until_state(program, key, RunState.FAILED)

    assert (run.failure_class, world.outcomes(key)) == (FailureClass.VANISHED, ["vanished"] * 3)
    assert world.explained(key).advice.startswith(ADVICE[FailureClass.VANISHED])


def test_changed_a_video_that_was_replaced_is_planned_anew(world: KubeWorld) -> None:
    def replace(start: ContainerStart) -> Exit:
        world.upload(key, b"other")
        return Exit(12, TerminationMessage(code="changed", exit_code=12, sentence="It was replaced.").model_dump_json())

    world.script(world.workers.does(finish=replace), world.workers.good())
    program = world.start()
    key = world.insert_task()
    program.turn()
    first = world.run_of(key)
    second = world.until_state(program, key, RunState.LOADED)

    assert second.run_id != first.run_id
    superseded = world.ledger.run(first.run_id)
    assert superseded is not None
    assert superseded.state is RunState.SUPERSEDED
    assert world.jobs() == []
    assert world.outcomes(key) == ["published"]


def test_changed_a_video_that_never_rests_is_final(world: KubeWorld) -> None:
    world.script(*exits(12, "It was replaced.")(world.workers))
    world.settings = world.with_controller(retry=world.settings.controller.retry.model_copy(update={"changed": 2}))
    program = world.start()
    key = world.insert_task()
    run = world.until_state(program, key, RunState.FAILED)

    assert run.failure_class is FailureClass.CHANGED
    assert "It was planned anew 2 times already." in run.sentence
    assert world.explained(key).advice.startswith(ADVICE[FailureClass.CHANGED])


def test_load_what_fails_verification_is_final_and_kept(world: KubeWorld) -> None:
    world.script(world.workers.good(finish=world.workers.lie))
    program = world.start()
    key = world.insert_task()
    run = world.until_state(program, key, RunState.FAILED)

    assert (run.failure_class, world.outcomes(key)) == (FailureClass.LOAD, ["published"])
    assert world.explained(key).advice.startswith(ADVICE[FailureClass.LOAD])
    folder = world.attempts(key)[0].folder
    assert any(info.uri.endswith("signals.h5") for info in world.premises.store.list(folder))
